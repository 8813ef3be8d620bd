"""The side that asks: starts a process, writes, reads until a deadline, watches, kills."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import models
from models.process.message import HEAD, READY, Message, empty_arrays, encoded

ROOT = str(Path(models.__file__).parents[1])
_LOOK = 0.2  # seconds between two looks at a process that computes


def program(module: str) -> str:
    """The code that runs `module.main`; its first argument is where our packages are."""
    return f"import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; main()"


class ChildProcess:
    """Python in a process and a process group of its own, with two pipes.

    It is started from threads, so nothing of ours runs between fork and exec. One thread at a time
    talks to it; any other may kill it.
    """

    def __init__(
        self,
        code: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stderr: IO[bytes] | None = None,
    ) -> None:
        """Raises OSError if no process can be made."""
        self._process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            [sys.executable, "-P", "-c", code, ROOT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            env={**os.environ, **environment},
            process_group=0,  # Ctrl-C is for us
        )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def await_ready(self, deadline: float) -> None:
        """Raises TimeoutError, and EOFError when it ended first."""
        self._fill(memoryview(bytearray(len(READY))), deadline, None)

    def ask(
        self, message: Message, deadline: float, watch: Callable[[], None] | None = None
    ) -> Message:
        """Its answer. `deadline`: of the monotonic clock. `watch` is called while it computes, and
        may raise.

        Raises TimeoutError, and EOFError or BrokenPipeError when the process is gone.
        """
        for part in encoded(message):
            self._write(part, deadline)
        head = bytearray(HEAD.size)
        self._fill(memoryview(head), deadline, watch)
        length, _ = HEAD.unpack(head)
        text = bytearray(length)
        self._fill(memoryview(text), deadline, watch)
        said = json.loads(text)
        arrays = empty_arrays(said["arrays"])
        for array in arrays:
            if array.size:
                self._fill(array.data.cast("B"), deadline, watch)
        return Message(said["facts"], arrays)

    def resident(self) -> int:
        """Bytes that it holds in memory now; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it and its own children. `close` is still to be called."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """End it; its exit status, negative for a signal."""
        if self._process.returncode is None:
            self.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def status(self) -> int:
        """The exit status of a process whose pipe has ended."""
        return self._process.wait()

    def _write(self, data: Any, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._to, select.POLLOUT)
        rest = memoryview(data)
        while rest:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._to, rest) :]

    def _fill(self, view: memoryview, deadline: float, watch: Callable[[], None] | None) -> None:
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        while view:
            left = max(0.0, deadline - time.monotonic())
            if not poll.poll((left if watch is None else min(left, _LOOK)) * 1000):
                if time.monotonic() >= deadline:
                    raise TimeoutError
                if watch is not None:
                    watch()
                continue
            count = os.readv(self._from, [view])
            if not count:
                raise EOFError
            view = view[count:]
