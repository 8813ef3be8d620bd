"""When the service learns by itself, and what becomes of the process that does it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot import config
from bot.config import Settings
from bot.config.settings import Data, Learn
from bot.core.clock import utc_now
from bot.core.errors import ConfigError
from bot.learn.schedule import Background, Schedule, due
from bot.service.app import opened, schedule_of
from storage import learning
from storage.learning import RunState
from storage.tables import LearningRun
from tests.waiting import PATIENCE, eventually

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = Schedule(True, clock(3), 0, BERLIN)
AT_ONCE = Schedule(True, None, 50, BERLIN)


def at(hour: float, day: int = 10) -> datetime:
    """In Berlin, in winter."""
    return datetime(2026, 1, day, tzinfo=BERLIN) + timedelta(hours=hour)


def run(started: datetime, state: str = RunState.KEPT_OUT) -> LearningRun:
    return LearningRun(state=state, started=started.astimezone(UTC), facts={})


@pytest.mark.parametrize(
    ("now", "last", "new", "wanted"),
    [
        (at(2.9), None, 10, False),  # before three; the last night's is long past
        (at(3), None, 10, True),
        (at(8.9), None, 10, True),  # the machine was asleep at three
        (at(9), None, 10, False),  # missed for good
        (at(4), None, 0, False),  # nothing to learn from
        (at(4), run(at(3)), 10, False),  # done for tonight
        (at(4), run(at(3, 9)), 10, True),
        (at(4), run(at(2)), 10, True),  # by hand, before
        (at(4), run(at(3, 9)), 0, False),  # nothing new
        (at(4), run(at(3), RunState.RUNNING), 0, True),  # broken off
        (at(12), run(at(3), RunState.RUNNING), 0, False),  # the next night then
    ],
)
def test_every_night(now: datetime, last: LearningRun | None, new: int, wanted: bool) -> None:
    assert due(NIGHTLY, last, new, now.astimezone(UTC)) is wanted


def test_a_night_that_begins_before_midnight() -> None:
    late = Schedule(True, clock(23, 30), 0, BERLIN)
    assert due(late, None, 1, at(1).astimezone(UTC))
    assert not due(late, run(at(23.6, 9)), 1, at(1).astimezone(UTC))


@pytest.mark.parametrize(
    ("schedule", "last", "new", "wanted"),
    [
        (AT_ONCE, None, 49, False),
        (AT_ONCE, None, 50, True),
        (AT_ONCE, run(at(1)), 50, True),
        (AT_ONCE, run(at(1), RunState.RUNNING), 0, True),
        (Schedule(True, None, 0, BERLIN), None, 500, False),  # neither a time nor a count
        (Schedule(True, clock(3), 50, BERLIN), None, 49, False),  # both must hold
        (Schedule(True, clock(3), 50, BERLIN), None, 50, True),
        (Schedule(False, None, 1, BERLIN), None, 50, False),
    ],
)
def test_after_so_many_posts(
    schedule: Schedule, last: LearningRun | None, new: int, wanted: bool
) -> None:
    assert due(schedule, last, new, at(4).astimezone(UTC)) is wanted


def test_the_section(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[learn]\nenabled = true\nat = "4:30"\nleave_out = "underexposed, blur"\n')
    said = config.load(path)
    assert schedule_of(said) == Schedule(True, clock(4, 30), 0, ZoneInfo("UTC"))
    assert said.learn.leave_out == ("underexposed", "blur")
    assert said.models.segmenter == "learned"
    path.write_text('[learn]\nat = ""\n')
    assert config.load(path).learn.at is None
    path.write_text(
        '[learn]\nat = "25:00"\nnice = 20\nstart = "new"\n[models]\nupscaler = "learned"\n'
    )
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert "config.toml:2: learn.at" in str(error.value)
    assert "config.toml:3: learn.nice" in str(error.value)
    assert "config.toml:4: learn.start" in str(error.value)
    assert "config.toml:6: models.upscaler" in str(error.value)


def gone(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            == "Z"
        )
    except OSError:
        return True


@contextlib.contextmanager
def stopping(background: Background) -> Iterator[None]:
    """Whatever becomes of the test, nothing goes on."""
    try:
        yield
    finally:
        background.stop()


def test_the_service_starts_it_once_and_says_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real process: it finds no image, says so in its row, and is not started all the time."""
    path = tmp_path / "config.toml"
    path.write_text('[data]\ndir = "data"\n')
    learn = Learn(enabled=True, at=None, after_posts=1, nice=1)
    settings = Settings(data=Data(dir=tmp_path / "data"), learn=learn)
    background = Background(path, tmp_path / "data/models", tmp_path / "data/logs")
    schedule = schedule_of(settings)
    with opened(settings) as app, stopping(background):
        monkeypatch.setattr("bot.learn.schedule.is_due", lambda *_: True)
        background.keep(app.database, schedule, utc_now())
        child = background._process
        assert child is not None
        background.keep(app.database, schedule, utc_now())
        assert background._process is child
        assert child.wait(PATIENCE) in (7, 8)  # without torch, or without images
        background.keep(app.database, schedule, utc_now())
        assert background._process is None, "and not again before a pause"
        if child.returncode == 8:
            with app.database.read() as session:
                assert "0 images" in learning.runs(session)[0].reason
    assert "image" in (tmp_path / "data/logs/learn.log").read_text() or child.returncode == 7


def test_nothing_outlives_the_process_that_started_it() -> None:
    """However that ends."""
    program = (
        "import signal, subprocess, sys\n"
        "from bot.learn.low_priority import command\n"
        "argv = command(3, signal.SIGKILL, 'http.server', ['0'])\n"
        "print(subprocess.Popen(argv, stderr=-3, stdout=-3).pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    eventually("it is nice", lambda: nice_of(child) >= 3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually("it is gone", lambda: gone(child))


def nice_of(pid: int) -> int:
    import os

    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return -20
