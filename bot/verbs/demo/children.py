"""Processes of ours that end with us, also when we are killed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PATIENCE = 120.0  # seconds: longer than the service's own for the work in hand, on a busy machine


def end_with_us() -> None:
    """In a child, on Linux: SIGTERM when the demo dies, even of kill -9: nothing is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and wait for that."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
