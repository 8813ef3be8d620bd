"""The one way in which a test waits: until something is seen, and never for a time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

# Seconds, for whatever a test waits for: an event, a request, the end of a process. Only what hangs
# reaches it. No test is about how fast the machine is, or what else it is doing.
PATIENCE = 600.0

Found = TypeVar("Found")


def eventually(what: str, condition: Callable[[], Found]) -> Found:
    """Wait until the condition is true, and return what it gave.

    Between two looks is four times what a look takes: some read a whole log, some start a process,
    and what is waited for needs the processor, too.
    """
    end = time.monotonic() + PATIENCE
    while True:
        began = time.monotonic()
        if found := condition():
            return found
        now = time.monotonic()
        assert now < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(min(max(0.01, 4 * (now - began)), 2.0))


@contextmanager
def killed_at_the_end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """A test that fails does not wait for the process: `with Popen(...)` alone would, for ever."""
    try:
        yield
    finally:
        process.kill()
        process.wait()
