"""Runs a module as a background process: low priority, the first to be killed when memory is short,
and never longer than the process that started it.

    python -m bot.learn.low_priority NICE SIGNAL PARENT MODULE [ARGUMENT ...]

SIGNAL (a number) is sent to it when its parent (a process id) dies, for any reason; on Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_OOM_FIRST = "800"  # of 1000: killed before the service, whose replies are more important


def command(nice: int, on_orphan: signal.Signals, module: str, arguments: list[str]) -> list[str]:
    """The command to start. Its parent is the *thread* that starts it: use one that stays alive."""
    numbers = [str(nice), str(int(on_orphan)), str(os.getpid())]
    return [sys.executable, "-m", "bot.learn.low_priority", *numbers, module, *arguments]


def step_back(nice: int) -> None:
    """Lower the priority to at least this, and be the first to be killed when memory is short."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(before, nice))
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST, encoding="utf-8")


def follow_parent(number: int, parent: int) -> None:
    """Get this signal when the parent dies, at once if it is dead already."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def main() -> None:
    nice, number, parent, module, *arguments = sys.argv[1:]
    follow_parent(int(number), int(parent))
    step_back(int(nice))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
