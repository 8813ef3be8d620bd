"""How far it is and how long it will take: on a terminal, and nowhere else; not with -q."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)

from bot.core.voice import VOICE

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
        disable=VOICE.quiet or not console.is_terminal,
    )


@contextmanager
def downloads() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Gives for each name what shows how far its download is: (bytes so far, bytes in all or 0)."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=VOICE.quiet or not console.is_terminal
    ) as bars:

        def watch(name: str) -> Callable[[int, int], None]:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total or None)

        yield watch
