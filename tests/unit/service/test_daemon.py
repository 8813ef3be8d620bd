"""The scheduler of the service."""

from __future__ import annotations

import contextlib
import logging
import signal
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


class Held:
    """A lock that the interrupted thread has: to wait for it is to wait for ever."""

    def __enter__(self) -> None:
        raise AssertionError("a signal handler takes a lock")

    def __exit__(self, *_: object) -> None: ...


def test_a_signal_waits_for_no_lock_of_the_thread_that_it_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread holds that of `stop` for a moment, twice a second. A service that was asked
    to end in that moment heard no signal any more."""
    daemon = Daemon(tmp_path / "config.toml", Settings(data=Data(dir=tmp_path / "data")))
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        daemon._catch_signals()
        with monkeypatch.context() as patched:
            events = [daemon._stop, *(worker.wake for worker in daemon._workers())]
            for event in events:
                patched.setattr(event, "_cond", Held())
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        daemon._supervise()  # ends at once
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        daemon.app.close()
    assert daemon._stop.is_set() and all(worker.wake.is_set() for worker in daemon._workers())
