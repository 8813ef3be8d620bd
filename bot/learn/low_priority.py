"""Runs a module as a background process: low priority, the first to be killed when memory is short,
and never longer than the process that started it.

    python -m bot.learn.low_priority NICE SIGNAL PARENT MODULE [ARGUMENT ...]

SIGNAL (a number) is sent to it when its parent (a process id) dies, for any reason; on Linux.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from models.process.inside import follow_parent, step_back


def command(nice: int, on_orphan: signal.Signals, module: str, arguments: list[str]) -> list[str]:
    """The command to start. Its parent is the *thread* that starts it: use one that stays alive."""
    numbers = [str(nice), str(int(on_orphan)), str(os.getpid())]
    return [sys.executable, "-m", "bot.learn.low_priority", *numbers, module, *arguments]


def main() -> None:
    nice, number, parent, module, *arguments = sys.argv[1:]
    follow_parent(int(number), int(parent))
    step_back(int(nice))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
