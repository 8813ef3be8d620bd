"""What every section of the settings is: frozen, with no key but its own, and live or not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class Section(Strict):
    """A table of the file. Each declares what a running service adopts when the file changes:
    `live` is True (all keys), False (none), or the names of the keys; the rest needs a restart.

    None: as the section that this one adds keys to.
    """

    _live: ClassVar[bool | Collection[str]]

    def __init_subclass__(
        cls, *, live: bool | Collection[str] | None = None, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        if live is not None:
            cls._live = live
        elif not hasattr(cls, "_live"):
            raise TypeError(f"{cls.__name__} says nothing about what is live")

    @classmethod
    def live_keys(cls) -> frozenset[str]:
        if isinstance(cls._live, bool):
            return frozenset(cls.model_fields if cls._live else ())
        return frozenset(cls._live)
