"""How far it is and how long it will take: on a terminal, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Thing = TypeVar("_Thing")


def progress(things: Iterable[_Thing], what: str, total: int | None = None) -> Iterator[_Thing]:
    """The same things, one by one, with a bar and a time estimate on stderr.

    `total`: how many there are, of things that do not know it.
    """
    console = Console(stderr=True)
    yield from track(
        things,
        total=len(things) if isinstance(things, Sized) else total,
        description=what,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
