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
    """Wait until the condition is true, and return what it gave."""
    end = time.monotonic() + PATIENCE
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.01)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """A test that fails does not wait for the process: `with Popen(...)` alone would, for ever."""
    try:
        yield
    finally:
        process.kill()
        process.wait()
