"""Being told to end: SIGTERM and SIGINT, kept until somebody waits for them."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable


def until_told() -> Callable[[], object]:
    """From now on both signals are kept; the result waits for one of them. In the main thread only.

    Not an Event: a handler that interrupts the waiting for one may wait for its lock, for ever.
    """
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.put(number))
    return told.get
