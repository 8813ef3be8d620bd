"""A command on a terminal of its own, as a person sees it and types into it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.paths import ROOT
from tests.waiting import PATIENCE, killed_at_the_end


class Terminal:
    """What is shown on it, and the process that has it."""

    def __init__(self, number: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._number = number

    def until(self, text: str) -> str:
        """What is shown from here on, up to and with `text`."""
        shown, end = "", time.monotonic() + PATIENCE
        while text not in shown:
            assert time.monotonic() < end, shown
            if select.select([self._number], [], [], 1)[0]:
                shown += os.read(self._number, 4096).decode()
        return shown

    def type(self, text: str) -> None:
        os.write(self._number, text.encode())


@contextmanager
def on_terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    """`tagecho WORDS` in this folder, with nothing of the shell's; killed at the end."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
    environ["PYTHONPATH"] = str(ROOT)
    ours, theirs = pty.openpty()
    with (
        subprocess.Popen(
            [sys.executable, "-m", "bot", *words],
            cwd=folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - one system call; so that Ctrl-C arrives
        ) as process,
        killed_at_the_end(process),
    ):
        os.close(theirs)
        yield Terminal(ours, process)
    os.close(ours)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
