"""The scheduler of the service."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from pathlib import Path

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from bot.config import Settings
from bot.config.settings import Data
from bot.service.daemon import Daemon, notify


def test_polls_that_fall_due_while_it_stops_are_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some fall due every few milliseconds, and the scheduler stops among them."""
    daemon = Daemon(tmp_path / "config.toml", Settings(data=Data(dir=tmp_path / "data")))
    scheduler, threads = daemon._scheduler, threading.active_count()
    for number in range(5):
        trigger = IntervalTrigger(seconds=0.01)
        name = f"main:hashtag:t{number}"
        scheduler.add_job("bot.service.daemon:poll_due", trigger, args=[name], id=name)
    for _ in range(20):
        scheduler.start()
        scheduler.shutdown()
        assert threading.active_count() == threads, "it waited for its own thread"
    daemon.app.close()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_manager_that_reads_nothing_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is full; the main thread goes on, so a signal still has an effect."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
            full.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    full.sendto(b"x", str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        for _ in range(3):
            notify("WATCHDOG=1")
