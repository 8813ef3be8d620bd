"""A thread of the service: it works in turns and survives its own faults."""

from __future__ import annotations

import threading
import time

import structlog

from bot.core.errors import StorageError, TagechoError
from bot.service.observe import FAULTS

log = structlog.get_logger()
TICK = 0.5  # seconds between looks at the database when there is nothing to do
MAX_PAUSE = 60.0
MAX_STORAGE_PAUSE = 5.0  # a look at the disk costs nobody anything


class Worker(threading.Thread):
    """Works until it is told to stop, survives its own faults, and shows that it is alive."""

    def __init__(self, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = stop
        self.wake = threading.Event()
        self._pause = 1.0
        self.alive()

    def alive(self) -> None:
        """Give a sign of life. Long work calls this from time to time."""
        self.alive_at = time.monotonic()

    def run(self) -> None:
        structlog.contextvars.bind_contextvars(worker=self.name)
        try:
            while not self.stopping.is_set():
                self._turn()
        finally:
            self.clean_up()

    def work(self) -> bool:
        """Do one thing. False when there was nothing to do."""
        raise NotImplementedError  # pragma: no cover - abstract

    def clean_up(self) -> None:
        """Release what belongs to this thread."""

    def _turn(self) -> None:
        self.alive()
        try:
            busy = self.work()
            self._pause = 1.0
        except Exception as error:
            FAULTS.labels(self.name).inc()
            expected = isinstance(error, TagechoError)
            log.error("worker failed", error=str(error), exc_info=not expected)
            self.stopping.wait(self._pause)
            longest = MAX_STORAGE_PAUSE if isinstance(error, StorageError) else MAX_PAUSE
            self._pause = min(self._pause * 2, longest)
            return
        if not busy:
            self.wake.wait(TICK)
            self.wake.clear()
