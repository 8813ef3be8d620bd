"""What a child process does to itself: its priority, its limits, its end. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_OOM_FIRST = "800"  # of 1000: killed before the service, which can start another child
_LOOK = 1.0  # seconds between two looks at whether the parent lives


def step_back(nice: int) -> None:
    """Lower the priority to at least this, and be the first to be killed when memory is short."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(before, nice))
    die_first()


def die_first() -> None:
    """Be the first to be killed when memory is short."""
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST, encoding="ascii")


def follow_parent(number: int, parent: int) -> None:
    """Get this signal when the parent dies, at once if it is dead already.

    On Linux the parent is the *thread* that started this process: see `end_with` for others.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def end_with(parent: int) -> None:
    """End this process within a second after that one, whichever of its threads started us."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent").start()


def bound_memory(more: int) -> None:
    """So many bytes of address space on top of what the libraries take."""
    with contextlib.suppress(OSError, ValueError):  # no Linux: other limits have to do
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def bound_time(seconds: int) -> None:
    """Processor time from now on; the kernel counts the whole life of the process, in seconds."""
    spent = sum(os.times()[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 1 + seconds, hard))


def no_core() -> None:
    """A crash leaves no file with what was in memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
