"""The daemon that `tagecho run` starts, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bot.core.errors import TagechoError
from bot.verbs.demo.children import end, end_with_us

START = 300.0  # seconds; on a busy machine most of it is waiting for a processor


@contextlib.contextmanager
def running_daemon(
    path: Path, environ: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """`tagecho run` in a process of its own; Ctrl-C reaches it only through us."""
    log = folder / "daemon.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "bot", "run", "--config", str(path)],
            env=dict(environ),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_us,  # noqa: PLW1509 - as above
        )
        try:
            _until_ready(process, log)
            yield process
        finally:
            end(process)


def _until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while '"service started"' not in log.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise TagechoError(f"the daemon did not start; its log {log} ends with:\n{tail}")
        time.sleep(0.1)


def peak_rss_mb(pid: int) -> float:
    """The highest resident memory of a process so far; 0 when it is gone or cannot be told."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(li.split()[1]) / 1024 for li in lines if li.startswith("VmHWM:")), 0.0)
