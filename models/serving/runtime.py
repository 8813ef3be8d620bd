"""Networks in memory: one cache, explicit threads, one inference at a time, eviction.

Networks of ONNX Runtime are run by path; networks of another library bring their own loader.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.base import WeightsError

Arrays = list[NDArray[np.float32]]
_Network = TypeVar("_Network")
_Result = TypeVar("_Result")


class Runtime:
    """Runs networks by path; loads each once, and drops it when it is idle.

    Every public method may be called from any thread. Inferences wait for each other, so the whole
    process uses `threads`. onnxruntime itself is imported with the first session.
    """

    def __init__(self, threads: int = 2, idle_seconds: float = 120, *, exact: bool = False) -> None:
        """`exact`: see `open_session`."""
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.threads = threads
        self.idle_seconds = idle_seconds
        self.exact = exact
        self._lock = threading.Lock()
        self._sessions: dict[Hashable, tuple[Any, float]] = {}  # session, last use (monotonic)

    def run(self, path: Path, feeds: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """All outputs of the network in `path`. Raises WeightsError if it cannot be loaded."""
        return self.call(
            path,
            lambda: open_session(path, self.threads, exact=self.exact),
            lambda session: session.run(None, dict(feeds)),
        )

    def run_first(self, path: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first output for the only input, whatever they are called. Raises WeightsError."""

        def use(session: Any) -> NDArray[np.float32]:
            first: NDArray[np.float32] = session.run(
                [session.get_outputs()[0].name], {session.get_inputs()[0].name: x}
            )[0]
            return first

        return self.call(path, lambda: open_session(path, self.threads, exact=self.exact), use)

    def call(
        self, key: Hashable, load: Callable[[], _Network], use: Callable[[_Network], _Result]
    ) -> _Result:
        """`use` of the network that `load` makes; it is kept under `key` until it is idle."""
        with self._lock:
            known = self._sessions.get(key)
            network = known[0] if known else load()
            result = use(network)
            self._sessions[key] = (network, time.monotonic())
            return result

    @property
    def loaded(self) -> frozenset[Hashable]:
        """The keys of the networks in memory; for ONNX Runtime, their paths."""
        with self._lock:
            return frozenset(self._sessions)

    def evict_idle(self) -> int:
        """Drop sessions unused for `idle_seconds`, give memory back. Returns how many."""
        oldest = time.monotonic() - self.idle_seconds
        with self._lock:
            idle = [path for path, (_, used) in self._sessions.items() if used <= oldest]
            for path in idle:
                del self._sessions[path]
        if idle:
            give_memory_back()
        return len(idle)

    def close(self) -> None:
        """Drop every session. The runtime may be used again; it then loads again."""
        with self._lock:
            self._sessions.clear()
        give_memory_back()


def open_session(path: Path, threads: int, *, exact: bool = False, also: str = "") -> Any:
    """An onnxruntime.InferenceSession on the CPU. Raises WeightsError.

    ONNX Runtime rounds to eight bits what it multiplies by weights of eight bits, which saves a
    third of the time and moves an output by about 0.001; `exact` keeps to float. `also`: a value
    inside the network that becomes a further output.
    """
    import onnxruntime  # noqa: PLC0415 - 40 MB that an idle command line does not need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = True  # measured: 104 MB for a 256 px tile, 360 MB without
    options.enable_mem_pattern = False  # else a plan is kept for each size, 13 MB each
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    try:
        source = path.read_bytes() + _output(also) if also else os.fspath(path)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of onnxruntime have no common base
        raise WeightsError(f"{path.name}: cannot be loaded: {error}") from error


def _output(name: str) -> bytes:
    """What, behind the bytes of an ONNX file, adds an output.

    Messages of Protocol Buffers that follow each other are merged: this is a model whose graph (7)
    has one output (12), of which only the name (1) is said. ONNX Runtime infers the rest.
    """
    return _message(7, _message(12, _message(1, name.encode())))


def _message(number: int, data: bytes) -> bytes:
    """A field with its length; both numbers are below 128 here."""
    if len(data) > 127:
        raise ValueError("the name of an output is too long")
    return bytes([number << 3 | 2, len(data)]) + data


def give_memory_back() -> None:
    """Collect garbage and, where the C library can, return free pages to the system."""
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim(0)
