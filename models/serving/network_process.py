"""A large network in a process of its own: bounded in memory and time, killed when it must be.

The process loads one network by an entry point ("module:function") and answers one question at a
time. It is started by the first question and kept warm. Whatever happens to it costs the question
that was asked: the next one starts another process. This side never imports the network's library.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from models.process.child import ChildProcess, program
from models.process.message import Message

_PROGRAM = program("models.serving.network_child")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_LAST_WORDS = 4096  # bytes of its standard error that are read
_MOST_WORDS = 1 << 20  # bytes of it that are kept while it answers


class Why(StrEnum):
    """Why there is no answer."""

    MISSING = "missing"  # a package or the weights: every question would fail in the same way
    START = "start"  # it did not come up
    CRASHED = "crashed"
    SLOW = "too-slow"
    LARGE = "too-large"  # more memory than allowed
    FAILED = "failed"  # the network raised an error; the process is still there
    STOPPED = "stopped"  # by us


class NetworkFailed(Exception):
    """There is no answer to this question; nothing else is harmed."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(f"{why}: {detail}" if detail else str(why))
        self.why, self.detail = why, detail

    @property
    def needs_package(self) -> bool:
        """A library is not installed; else of what is missing, the weights are."""
        return self.why is Why.MISSING and "Error: " in self.detail

    @property
    def lasting(self) -> bool:
        """The next question would fail in the same way."""
        return self.why in (Why.MISSING, Why.START, Why.STOPPED)


@dataclass(frozen=True, slots=True)
class ProcessBounds:
    """What the process of a network may take."""

    memory: int = 8 * 1024**3  # bytes in memory (resident), libraries and weights included
    start_seconds: float = 600.0  # to import its library and to load the weights
    seconds: float = 300.0  # for one answer
    threads: int = 2
    nice: int = 10


class NetworkProcess:
    """`entry(**arguments)` is called in the process and gives a function of (facts, arrays) that
    returns (facts, arrays); see `Answerer` in `models.serving.network_child`.

    May be used by any thread; questions wait for each other.
    """

    def __init__(self, entry: str, arguments: Mapping[str, Any], bounds: ProcessBounds) -> None:
        """`arguments`: what JSON can say."""
        self._entry, self._arguments, self._bounds = entry, dict(arguments), bounds
        self._lock = threading.Lock()
        self._child: _Network | None = None
        self._stopped = False
        self._used = 0.0

    def ask(
        self, facts: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = ()
    ) -> tuple[dict[str, Any], tuple[NDArray[Any], ...]]:
        """Raises NetworkFailed."""
        with self._lock:
            child = self._running()
            try:
                answer = child.ask(Message(dict(facts), tuple(arrays)), self._bounds.seconds)
            finally:
                self._used = time.monotonic()
                if not child.ready:
                    self._child = None
                    child.close()
            return answer.facts, answer.arrays

    def start(self) -> None:
        """Load the network now. Raises NetworkFailed."""
        with self._lock:
            self._running()

    @property
    def pid(self) -> int | None:
        child = self._child
        return None if child is None else child.pid

    def end_idle(self, seconds: float) -> bool:
        """End a process that nobody asked for so long; the next question starts another one."""
        if not self._lock.acquire(blocking=False):
            return False  # it is busy
        try:
            child = self._child
            if child is None or time.monotonic() - self._used < seconds:
                return False
            self._child = None
            child.close()
            return True
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End it now, also in the middle of an answer, and refuse further questions."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.kill()
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None

    def __enter__(self) -> NetworkProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> _Network:
        if self._stopped:
            raise NetworkFailed(Why.STOPPED, "the program ends")
        if self._child is not None and not self._child.ready:
            self._child.close()
            self._child = None
        if self._child is None:
            self._child = self._begun(_Network(self._bounds))
        return self._child

    def _begun(self, child: _Network) -> _Network:
        self._child = child  # so that `stop` ends it while it loads
        try:
            if self._stopped:
                child.kill()
            child.load(self._entry, self._arguments)
        except BaseException:
            self._child = None
            child.close()
            raise
        self._used = time.monotonic()
        return child


class _Network:
    """One process with its network."""

    def __init__(self, bounds: ProcessBounds) -> None:
        self._bounds = bounds
        self._asked = self._killed = False
        # Not a pipe: nobody reads it while the network computes.
        self._errors = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the process
        counts = dict.fromkeys(_THREADS, str(bounds.threads))
        said = [json.dumps(asdict(bounds)), str(os.getpid())]
        try:
            self._process = ChildProcess(_PROGRAM, said, {**_OFFLINE, **counts}, self._errors)
        except OSError as error:
            self._errors.close()
            raise NetworkFailed(Why.START, f"no process can be made: {error.strerror}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ready(self) -> bool:
        """It lives, and nothing of an answer is left unread."""
        return not self._asked and self._process.alive

    def load(self, entry: str, arguments: dict[str, Any]) -> None:
        seconds = self._bounds.start_seconds
        deadline = time.monotonic() + seconds
        question = Message({"entry": entry, "arguments": arguments})
        try:
            self._process.await_ready(deadline)
            self._exchange(question, deadline, seconds)
        except (EOFError, BrokenPipeError):
            raise self._died(Why.START) from None
        except TimeoutError:
            raise NetworkFailed(Why.START, f"it did not start in {seconds:g} s") from None
        except NetworkFailed as error:
            if error.why is Why.FAILED:
                raise NetworkFailed(Why.START, error.detail) from None
            raise

    def ask(self, question: Message, seconds: float) -> Message:
        deadline = time.monotonic() + seconds
        try:
            return self._exchange(question, deadline, seconds)
        except (EOFError, BrokenPipeError):
            raise self._died(Why.CRASHED) from None
        except TimeoutError:
            raise NetworkFailed(Why.SLOW, f"no answer in {seconds:g} s") from None

    def _exchange(self, question: Message, deadline: float, seconds: float) -> Message:
        self._asked = True
        answer = self._process.ask(question, deadline, self._watch)
        self._asked = False
        self._watch()
        if os.fstat(self._errors.fileno()).st_size > _MOST_WORDS:  # the position is shared with it
            self._errors.seek(0)
            self._errors.truncate()
        if "failed" in answer.facts:
            raise NetworkFailed(Why(answer.facts["failed"]), answer.facts["detail"])
        return answer

    def _watch(self) -> None:
        held = self._process.resident()
        if held > self._bounds.memory:
            self._asked = True  # it goes, whether it has answered or not
            raise NetworkFailed(
                Why.LARGE, f"{held / 2**20:.0f} MiB, {self._bounds.memory / 2**20:.0f} are allowed"
            )

    def _died(self, why: Why) -> NetworkFailed:
        status = self._process.status()
        if self._killed:
            return NetworkFailed(Why.STOPPED, "the program ends")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        words = self._last_words()
        return NetworkFailed(why, f"it ended with {how}" + (f": {words}" if words else ""))

    def _last_words(self) -> str:
        """The last line that it wrote; for Python, the error."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS))
        lines = self._errors.read().decode(errors="replace").splitlines()
        said = [line for line in lines if line.strip() and not line.startswith(" ")]
        return said[-1].strip()[:300] if said else ""

    def kill(self) -> None:
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        self._process.close()
        self._errors.close()
