"""How a platform lets us reply: its modes, the network writes of each, and their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.platforms.text_limit import TextLimit
from models.images.canvas import Canvas


class Idempotence(StrEnum):
    """What a write does that is sent again."""

    REPEATABLE = "repeatable"  # nothing that anybody sees: it is sent again without a look
    TOKEN = "token"  # noqa: S105 - nothing, while the platform knows its token
    RECONCILE = "reconcile"  # the same once more: only reading back tells


@dataclass(frozen=True, slots=True)
class StepKind:
    """A kind of network write. What is unknown of it is taken for the worst."""

    name: str  # as the database has it
    action: str = ""  # its class for pacing
    idempotence: Idempotence = Idempotence.RECONCILE
    visible: bool = True  # somebody sees something once it is done
    image: bool = False  # carries the image
    text: TextLimit | None = None  # carries the text
    leaves: str = ""  # the kind of thing that `delete` takes, by the receipt's id; "" for none
    optional: bool = False  # refused, it leaves the reply complete

    def __post_init__(self) -> None:
        if self.visible and self.repeatable:
            raise ValueError(f"{self.name}: what people see is not repeated")

    @property
    def repeatable(self) -> bool:
        return self.idempotence is Idempotence.REPEATABLE


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of replying: its writes in order, and the image it takes."""

    name: str
    meaning: str  # what people see, for the operator
    steps: tuple[StepKind, ...]
    canvas: Canvas


@dataclass(frozen=True, slots=True)
class Ways:
    """All ways of replying that a platform has."""

    modes: tuple[Mode, ...]  # the first is used where the settings name none
    comment: StepKind | None = None  # a text under the source, after any mode

    def of(self, wished: Sequence[str]) -> tuple[Mode, ...]:
        """Those of the wished modes that there are here, in their order; else the first one."""
        known = {mode.name: mode for mode in self.modes}
        return tuple(known[name] for name in wished if name in known) or self.modes[:1]

    def plan(self, mode: str, *, comment: bool) -> tuple[StepKind, ...]:
        """The writes of a reply, in order. Raises ValueError for a mode that there is not."""
        found = next((one for one in self.modes if one.name == mode), None)
        if found is None:
            raise ValueError(f"there is no way of replying called {mode!r}")
        return (*found.steps, self.comment) if comment and self.comment else found.steps

    def step(self, name: str) -> StepKind:
        """A kind of write by its name; one that no longer exists is taken for the worst."""
        return next((step for step in self.steps() if step.name == name), StepKind(name))

    def steps(self) -> Iterator[StepKind]:
        """Every kind of write, some more than once."""
        for mode in self.modes:
            yield from mode.steps
        if self.comment is not None:
            yield self.comment
