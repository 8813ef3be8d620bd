"""`python -m bot` in a process that is forked from one in which its imports are done.

The imports are half of the processor time of a start, and these tests start the service some ninety
times. A forked process has its own pid, environment, output, signals and exit code, and it can be
killed. What it does not show:

- faults and side effects of importing, and what Python itself reads at its start: its options,
  PYTHON... variables, the locale;
- its command line: that of the server stands in /proc;
- the end of an interpreter: functions of `atexit` run, modules are not taken down.

That is shown by a real command: each file that starts the service has a test that does
(a test of the suite sees to it), and test_first_evening, test_demo and
test_rehearse start nothing else.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# What a start imports sooner or later. `tests` is for what it sets for all that tests start.
IMPORTS = (
    "tests",
    "bot.cli.main",
    "bot.service.daemon",
    "bot.verbs.collect",
    "bot.platforms.instagram.adapter",
    "bot.platforms.mastodon.adapter",
    "models.compose.styles",
    "models.segment.refined",
    "models.superres.upscaler",
    "models.serving.packs",
)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(list(IMPORTS))


class Forked:
    """What a test uses of `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], output: Path) -> None:
        self._process: ForkServerProcess = _SERVER.Process(
            target=run, args=(tuple(words), dict(environ), str(Path.cwd()), str(output))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} runs after {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def run(words: Sequence[str], environ: Mapping[str, str], folder: str, output: str) -> None:
    """In the forked process: become `python -m bot WORDS`."""
    missing = set(IMPORTS) - set(sys.modules)
    assert not missing, f"the server did not import {missing}"
    threads = list(Path(f"/proc/{os.getppid()}/task").iterdir())
    assert len(threads) == 1, "a lock that another thread of the server held would stay locked"
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["tagecho", *words]
    from bot.__main__ import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()
