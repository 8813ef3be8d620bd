"""How long `tagecho --help` and `tagecho check` take, against an empty interpreter."""

from __future__ import annotations

import subprocess
import sys

from bench.table import Row, show, timed


def _run(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


show(
    "Start-up",
    [
        Row("python -c pass", timed(lambda: _run("-c", "pass"), 15)),
        Row("tagecho --help", timed(lambda: _run("-m", "bot", "--help"), 15), target="≤ 500 ms"),
        Row("tagecho check", timed(lambda: _run("-m", "bot", "check"), 10)),
    ],
    baseline="python -c pass",
)
