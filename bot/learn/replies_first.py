"""Replies come first: a learning run pauses while one waits to be rendered."""

from __future__ import annotations

import time
from collections.abc import Callable

TICK = 0.25  # seconds between two checks of the waiting replies

Say = Callable[[str], None]
Waiting = Callable[[], int]  # the number of replies that wait to be rendered


class TimeLimit(Exception):
    """The time limit of a run is over."""


class Turn:
    """May the run compute now? Not while replies wait, and not longer than the time limit."""

    def __init__(self, waiting: Waiting, seconds: float, say: Say, spent: float = 0) -> None:
        """`seconds`: the limit, of which `spent` are used already."""
        self._waiting, self._seconds, self._say = waiting, seconds, say
        self._started = time.monotonic() - spent
        self._told = False

    @property
    def spent(self) -> float:
        """Seconds since the run started, with pauses, without interruptions."""
        return time.monotonic() - self._started

    def ours(self) -> bool:
        """Raises TimeLimit."""
        if self.spent >= self._seconds:
            raise TimeLimit
        count = self._waiting()
        if bool(count) != self._told:
            self._told = bool(count)
            self._say(f"paused: {count} replies wait to be rendered" if count else "going on")
        return count == 0

    def wait(self) -> None:
        """Wait until the run may compute. Raises TimeLimit."""
        while not self.ours():
            time.sleep(TICK)
