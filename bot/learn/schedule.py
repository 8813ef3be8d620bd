"""When the service starts a learning run, and the process of the run."""

from __future__ import annotations

import signal
import subprocess
import time as clocks
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from bot.core.folders import private_folder
from bot.core.local_time import latest
from bot.learn.low_priority import command
from storage import learning
from storage.database import Database
from storage.learning import RunState
from storage.tables import LearningRun

log = structlog.get_logger()
NIGHT = timedelta(hours=6)  # a nightly run that is later than this waits for the next night
PAUSE = 900.0  # least seconds between two starts, for runs that fail at once
GRACE = 15.0  # seconds for a run to end after SIGINT


def running(home: Path) -> bool:
    """Whether a learning run is in progress."""
    try:
        pid = int((home / "learn.pid").read_text(encoding="utf-8"))
        return b"learn" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class Schedule:
    enabled: bool
    at: time | None
    after_posts: int
    zone: ZoneInfo
    nice: int = 15  # of the process: from 0 (as the service) to 19


def due(schedule: Schedule, last: LearningRun | None, new_posts: int, now: datetime) -> bool:
    """Whether the service should start or continue a run now.

    With a time of day: once a night, if enough posts are new (at least one), and within NIGHT of
    that time. Without: as soon as enough posts are new. An interrupted run needs no new posts.
    """
    if not schedule.enabled:
        return False
    unfinished = last is not None and last.state == RunState.RUNNING
    if schedule.at is None:
        return unfinished or 0 < schedule.after_posts <= new_posts
    tonight = latest(schedule.at, schedule.zone, now)
    if now - tonight >= NIGHT:
        return False
    if unfinished:
        return True
    if last is not None and last.started >= tonight:
        return False
    return new_posts >= max(1, schedule.after_posts)


def is_due(database: Database, schedule: Schedule, now: datetime) -> bool:
    if not schedule.enabled:
        return False
    with database.read() as session:
        last = next(iter(learning.runs(session, 1)), None)
        new = learning.new_posts(session, last.newest_post if last else 0)
    return due(schedule, last, new, now)


class Background:
    """`tagecho learn` as a child of the service: with low priority, and ended with the service.

    Only the main thread of the service may use it: the child ends with the thread that started it.
    """

    def __init__(self, config: Path, networks: Path, logs: Path) -> None:
        """`networks`: the folder of networks learned here; `logs`: where its output goes."""
        self._config, self._networks, self._logs = config, networks, logs
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0

    def keep(self, database: Database, schedule: Schedule, now: datetime) -> None:
        """Start a run if one is due; log how the last one ended. Raises StorageError."""
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            if status == 0:
                log.info("learning ended", exit_code=status)
            else:
                log.warning("learning failed", exit_code=status)
            self._process = None
        if clocks.monotonic() < self._next or not is_due(database, schedule, now):
            return
        if running(self._networks):  # a person started it
            return
        self._next = clocks.monotonic() + PAUSE
        self._process = self._start(schedule.nice)
        log.info("learning started", pid=self._process.pid)

    def stop(self) -> None:
        """Interrupt the run that is in progress; the next run continues it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        log.info("learning interrupted")

    def _start(self, nice: int) -> subprocess.Popen[bytes]:
        private_folder(self._logs)
        argv = command(nice, signal.SIGINT, "bot", ["learn", "--config", str(self._config)])
        with (self._logs / "learn.log").open("wb") as file:
            return subprocess.Popen(  # noqa: S603 - our own command line, no shell
                argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, process_group=0
            )
