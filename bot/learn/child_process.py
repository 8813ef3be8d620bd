"""A long computation in its own process, which pauses while replies wait."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.learn.replies_first import TICK, Say, Turn

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """A started process in its own process group. Its stderr is kept and passed on, and its last
    line is remembered."""

    def __init__(
        self, command: Sequence[str], log: Path, say: Say, threads: int, env: Mapping[str, str]
    ) -> None:
        counts = dict.fromkeys(THREADS, str(threads))
        self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**env, **counts, "PYTHONUNBUFFERED": "1"},
            process_group=0,
        )
        self._stopped = False
        self._last: collections.deque[str] = collections.deque(maxlen=40)
        self._reader = threading.Thread(target=self._read, args=(log, say), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """Its last line; for a Python process that failed, the error."""
        lines = [line for line in self._last if line.strip() and not line.startswith(" ")]
        return lines[-1].strip() if lines else ""

    def wait(self, turn: Turn) -> int:
        """Its exit status, negative for a signal. It pauses while replies wait.

        If the waiting is interrupted (TimeLimit, Ctrl-C, an error of the database), it is ended.
        """
        try:
            while (status := self._process.poll()) is None:
                self._pause(not turn.ours())
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(TICK)
        finally:
            self.end()
        return status

    def end(self) -> None:
        """End the process and all its children before this returns."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self._pause(False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join(GRACE)

    def _pause(self, stop: bool) -> None:
        if stop != self._stopped:
            self._stopped = stop
            self._signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # already gone
            os.killpg(self._process.pid, number)

    def _read(self, log: Path, say: Say) -> None:
        """Read to the end: a process would block if nobody read its stderr."""
        assert self._process.stderr is not None  # noqa: S101 - it is a pipe
        for raw in self._process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self._last.append(line)
            say(line)
            with (
                contextlib.suppress(OSError),
                log.open("a", encoding="utf-8") as file,
            ):  # the disk may be full
                file.write(line + "\n")
        self._process.stderr.close()
