"""Strangers' bytes decoded in processes of their own, with bounded processor time and memory.

No header says what a picture costs: a file of a megabyte may take hours, whatever its format. So
each picture gets `CPU_SECONDS` and a memory that follows `max_pixels`, in a child process that is
kept warm and replaced when it dies. What costs more is rejected as "too-costly".
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from models.base import ImageRejected
from models.images.codec import Decoded
from models.process.child import ChildProcess, program
from models.process.message import Message

CPU_SECONDS = 20  # fifty million pixels of the slowest format take four
WALL_SECONDS = 120.0  # for a child that waits, or a machine that is very busy
MEMORY = 128 * 1024**2  # bytes, and for each pixel that is allowed:
MEMORY_PER_PIXEL = 11  # an RGB picture in Pillow (4), its array (3), and what a codec holds
ATTEMPTS = 2  # a child that somebody else ended may have been ended by chance
PROCESSES = max(1, min(2, os.cpu_count() or 1))

NO_PROCESS = "there is no process to read pictures"
_START = program("models.images.child")
# One thread each, and one heap: what threads only reserve would count as memory.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class DecoderUnavailable(Exception):
    """The picture was neither read nor rejected: the program ends, or no process can be made.

    It may be tried again: nothing was learnt about the picture.
    """


class _Interrupted(Exception):
    """Somebody else ended the child: the system for want of memory, or a person."""


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Decoder:
    """As many children as are needed at once, at most `processes`. May be used by any thread."""

    def __init__(
        self,
        processes: int = PROCESSES,
        *,
        cpu_seconds: int = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
    ) -> None:
        self._cpu_seconds, self._wall_seconds = cpu_seconds, wall_seconds
        self._room = threading.Semaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._stopped = False

    def decode(
        self,
        data: bytes,
        *,
        max_pixels: int = 50_000_000,
        min_side: int = 16,
        shrink_to: int | None = None,
        declared: str = "",
        own: bool = False,
    ) -> Decoded:
        """As `codec.decode`, and "too-costly" or "crashed" as further reasons.

        Raises ImageRejected, and DecoderUnavailable after `stop`.
        """
        arguments = {
            "max_pixels": max_pixels,
            "min_side": min_side,
            "shrink_to": shrink_to,
            "declared": declared,
            "own": own,
        }
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                with self._child(MEMORY + MEMORY_PER_PIXEL * max_pixels) as child:
                    return child.decode(data, arguments, self._wall_seconds)
            except _Interrupted as error:
                reason = str(error)
        raise ImageRejected("crashed", reason)

    def stop(self) -> None:
        """End whatever is being decoded, now, and refuse more until `start`."""
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
            for child in self._busy:
                child.kill()  # whoever reads from it closes it
        for child in idle:
            child.close()

    def start(self) -> None:
        self._stopped = False

    @contextmanager
    def _child(self, memory: int) -> Iterator[_Child]:
        with self._room:
            child = self._take(memory)
            try:
                yield child
            finally:
                self._give_back(child)

    def _take(self, memory: int) -> _Child:
        with self._lock:
            if self._stopped:
                raise DecoderUnavailable("the program ends")
            while self._idle:
                child = self._idle.pop()
                if child.memory == memory and child.ready:
                    break
                child.close()
            else:
                child = _Child(self._cpu_seconds, memory)
            self._busy.add(child)
            return child

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            self._busy.discard(child)
            if child.ready and not self._stopped:
                self._idle.append(child)
            else:
                child.close()


class _Child:
    """One process that decodes."""

    def __init__(self, seconds: int, memory: int) -> None:
        self.memory = memory
        self._seconds = seconds
        self._killed = self._asked = self._started = False
        try:
            self._process = ChildProcess(_START, [str(seconds), str(memory)], _ENVIRONMENT)
        except OSError as error:
            raise DecoderUnavailable(f"{NO_PROCESS}: {error.strerror}") from error

    @property
    def ready(self) -> bool:
        """It lives, and nothing of an answer is left unread."""
        return not self._asked and self._process.alive

    def decode(self, data: bytes, arguments: dict[str, Any], wall_seconds: float) -> Decoded:
        deadline = time.monotonic() + wall_seconds
        self._asked = True
        try:
            self._await_start(deadline)
            question = Message(arguments, (np.frombuffer(data, np.uint8),))
            found = self._process.ask(question, deadline)
        except TimeoutError:
            raise ImageRejected("too-costly", f"more than {wall_seconds:g} s") from None
        except (EOFError, BrokenPipeError):
            raise self._died() from None
        self._asked = False
        return _decoded(found)

    def kill(self) -> None:
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        self._process.close()

    def _await_start(self, deadline: float) -> None:
        """Raises DecoderUnavailable when it comes to an end before any picture is read."""
        if self._started:
            return
        try:
            self._process.await_ready(deadline)
        except TimeoutError:
            raise DecoderUnavailable(f"{NO_PROCESS}: it does not start") from None
        except EOFError:
            error = self._died()
            if isinstance(error, ImageRejected):
                error = DecoderUnavailable(f"{NO_PROCESS}: it ended at once ({error.detail})")
            raise error from None
        self._started = True

    def _died(self) -> Exception:
        status = self._process.status()
        if self._killed:
            return DecoderUnavailable("the program ends")
        if status == -signal.SIGXCPU:
            return ImageRejected("too-costly", f"more than {self._seconds} s of processor time")
        if -status in _FROM_OUTSIDE:
            return _Interrupted(f"the decoder was ended by signal {-status}")
        return ImageRejected("crashed", f"the decoder ended with status {status}")


def _decoded(answer: Message) -> Decoded:
    facts = answer.facts
    if "rejected" in facts:
        raise ImageRejected(facts["rejected"], facts["detail"])
    pixels, *alpha = answer.arrays
    notes = tuple(facts["notes"])
    return Decoded(pixels, alpha[0] if alpha else None, facts["format"], facts["frames"], notes)


shared = Decoder()  # of this program: children are dear, and limits are the same for all
decode = shared.decode
atexit.register(shared.stop)
