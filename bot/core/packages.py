"""Whether `models` and `storage` are ours: their names are common ones."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import bot
from bot.core.errors import ConfigError


def refuse_foreign_packages() -> None:
    """Raises ConfigError when another package stands before one of ours. Imports nothing."""
    home = Path(str(bot.__file__)).parents[1]
    for name in ("models", "storage"):
        spec = find_spec(name)
        found = [
            Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()
        ]
        if found != [(home / name).resolve()]:
            where = found[0] if found else (spec and spec.origin) or "nowhere"
            raise ConfigError(
                f"the package {name!r} comes from {where} instead of {home / name}: it stands in "
                f"the way. Start tagecho from another folder, or take {sys.path[0] or '.'!r} from "
                "the path of Python"
            )
