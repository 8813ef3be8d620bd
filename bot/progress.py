"""How far it is and how long it will take: on a terminal, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Thing = TypeVar("_Thing")


def progress(things: Sequence[_Thing], what: str) -> Iterator[_Thing]:
    """The same things, one by one, with a bar and a time estimate on stderr."""
    console = Console(stderr=True)
    yield from track(
        things, description=what, console=console, transient=True, disable=not console.is_terminal
    )
