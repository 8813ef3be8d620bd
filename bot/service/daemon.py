"""The always-on process: scheduler, workers, signals, watchdog."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.flow.policy import Track
from bot.flow.poll import overdue
from bot.flow.render import Renderer
from bot.learn.schedule import Background
from bot.platforms import registry
from bot.service import observe
from bot.service.account_worker import AccountWorker
from bot.service.app import App, ServingStages, check_logins, networks_of, schedule_of
from bot.service.health import HealthServer
from bot.service.image_worker import ImageWorker
from bot.service.locks import Check
from bot.service.notices import Notices
from bot.service.presence import present
from bot.service.reload import Reload
from bot.service.render_worker import RenderWorker
from bot.service.rules import Rules
from bot.service.state import ServiceState, look
from bot.service.worker import Worker
from models.images import decoder
from storage import account_logins, collect_requests, outbox
from storage import clock_repair as clock
from storage.polls import JOBS_TABLE
from storage.tables import Reply, ReplyState

log = structlog.get_logger()
_M_ARENA_MAX = -8  # <malloc.h>
WATCH_EVERY = 0.5  # seconds between looks at the config file; two alike, and it is whole
KEEP_HOUSE_EVERY = 10.0
SWEEP_EVERY = 86400.0  # and an hour after the start
STALL = 300.0  # a worker silent for so long is stuck: longer than any request with its retries
MISSED = timedelta(minutes=1)  # beyond a whole interval: then a poll was not only late
RETRY_STORAGE = 5.0
GRACE = 40.0  # for the work in hand when stopping: a request may last its whole timeout

Beside = Callable[[App], contextlib.AbstractContextManager[object]]

_running: Daemon | None = None


def poll_due(track: str) -> None:
    """What APScheduler calls; its store keeps only this path and a string."""
    if _running is not None:
        _running.poll(track)


class Daemon:
    """Runs one configuration until a signal says stop."""

    def __init__(self, path: Path, settings: Settings, beside: Sequence[Beside] = ()) -> None:
        """`beside`: what runs as long as the service does, on the same storage."""
        self._path = path
        self._beside = beside
        self._stop = threading.Event()
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._reload = Reload(path, settings, self._adopt)
        self.app = App(settings, self._stop)
        self._rules = Rules(self.app)
        self._stages = ServingStages(settings)
        self._accounts = {
            name: AccountWorker(self.app, name, self._rules, self._stop)
            for name in settings.accounts
        }
        self._images = [
            ImageWorker(self.app, account, self._rules, self._stop)
            for account in self._accounts.values()
        ]
        renderer = Renderer(
            self.app.database,
            self.app.originals,
            self.app.artifacts,
            self._stages,
            registry.ways,
        )
        self._render = RenderWorker(
            self.app,
            renderer,
            self._rules,
            self._stop,
            rendered=self._wake,
            idle=self._stages.runtime.evict_idle,
        )
        self._scheduler = self._make_scheduler()
        self._learning = Background(path, networks_of(settings), settings.data.dir / "logs")
        self._notices = Notices(self.app.database)
        self._locks: list[Check] = []
        self._damage = ""  # of the database, as the last sweep found it

    def run(self) -> None:
        """Blocks until stopped.

        Raises AuthError when no account could ever log in, AccountLocked when another process has
        one, StorageError when one may have got it while we ran.
        """
        global _running  # noqa: PLW0603 - APScheduler can only name a module-level function
        _share_heaps()
        with contextlib.ExitStack() as stack:
            stack.callback(self.app.close)
            stack.callback(self._notices.close)
            stack.callback(decoder.shared.start)  # for what this process does afterwards
            if self._accounts:
                check_logins(self.app.settings)
            self._locks = [stack.enter_context(self.app.lock(name)) for name in self._accounts]
            stack.enter_context(present(self.app.settings.data.dir, utc_now()))
            self.app.database.verify(outbox.VITAL)
            self._recover()
            _running = self
            stack.callback(_forget_running)
            self._catch_signals()
            if (health := self._start_health()) is not None:
                stack.callback(health.close)
            for other in self._beside:
                stack.enter_context(other(self.app))
            for worker in self._workers():
                worker.start()
            stack.callback(self._join)
            self._start_scheduler()
            stack.callback(self._scheduler.shutdown)
            stack.callback(self._learning.stop)
            notify("READY=1")
            log.info(
                "service started", accounts=list(self._accounts), tracks=len(self._rules.tracks)
            )
            self._supervise()
            notify("STOPPING=1")
            log.info("service stop requested")
        log.info("service stopped")

    def poll(self, track: str) -> bool:
        """Ask for a poll. False when it is asked for already, or the track is gone."""
        found = self._rules.polled.get(track)
        return found is not None and self._accounts[found.account].due(track)

    def stop(self) -> None:
        self._stop.set()
        self._wake_all()

    def _recover(self) -> None:
        self._correct_times()
        with self.app.database.write() as session:
            for name in self._accounts:
                account_logins.begin(session, name, utc_now())
                collect_requests.recover(session, name)
                found = outbox.recover(session, name, utc_now())
                if any(found.values()):
                    log.warning("replies recovered", account=name, **found)

    def _correct_times(self) -> bool:
        """Correct times that a clock stored while it was ahead; else everything would wait."""
        now = utc_now()
        with self.app.database.read() as session:
            if clock.ahead(session, now) is None:
                return False
        with self.app.database.write() as session:
            by = clock.ahead(session, now)
            if by is not None:
                clock.set_back(session, now, by)
        log.warning("stored times corrected", clock_ahead=str(by))
        return True

    def _supervise(self) -> None:
        """The main thread: watch the file, keep house, feed the watchdog."""
        next_house, next_sweep = 0.0, time.monotonic() + SWEEP_EVERY / 24
        while not self._stopped():
            self._reload.look()
            if time.monotonic() >= next_house:
                self._survive(self._keep_house)
                self._survive(self._learn)
                self._survive(self._notice)
                next_house = time.monotonic() + KEEP_HOUSE_EVERY
                for check in self._locks:
                    check()  # what is lost is not survived: nothing more may be sent
            if time.monotonic() >= next_sweep:
                # In a thread of its own: it looks at every file, and the watchdog is not to wait.
                threading.Thread(
                    target=self._survive, args=(self._sweep,), name="sweep", daemon=True
                ).start()
                next_sweep = time.monotonic() + SWEEP_EVERY
            if self._alive()[0]:
                notify("WATCHDOG=1")

    def _stopped(self) -> bool:
        """Wait a little for a signal; is it over?"""
        if not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                self._signals.get(timeout=WATCH_EVERY)
                self.stop()
        return self._stop.is_set()

    def _learn(self) -> None:
        try:
            self._learning.keep(self.app.database, schedule_of(self.app.settings), utc_now())
        except OSError as error:  # no process, or no log file, can be made now
            raise StorageError(f"learning cannot begin: {error}") from error

    def _notice(self) -> None:
        if self.app.settings.notices.services:
            self._notices.look(self._state(), self.app.settings)

    def _sweep(self) -> None:
        """Files that a crash, or somebody who left meanwhile, kept without a row; and is the
        database whole? Not ready until a later look finds it so."""
        with self.app.database.read() as session:
            removed = sum(
                store.sweep(session) for store in (self.app.originals, self.app.artifacts)
            )
        if removed:
            log.info("files swept", files=removed)
        self._damage = ""
        try:
            self.app.database.verify()
        except StorageError as error:
            self._damage = str(error)
            raise

    def _survive(self, chore: Callable[[], None]) -> None:
        """Survive a full disk or a locked database: both pass, and an ended daemon stays ended."""
        try:
            chore()
        except (StorageError, SQLAlchemyError) as error:
            log.error("storage failed", chore=chore.__name__, error=str(error).splitlines()[0])

    def _adopt(self, settings: Settings) -> None:
        self.app.adopt(settings)
        self._rules.adopt(self.app)
        self._survive(self._sync_jobs)

    def _keep_house(self) -> None:
        if self._correct_times():
            self._sync_jobs()
        tracks = list(self._rules.polled.values())
        now = utc_now()
        with self.app.database.read() as session:  # a write would stop the threads that have work
            waiting = (ReplyState.QUEUED, ReplyState.AWAITING_APPROVAL, ReplyState.APPROVED)
            late = select(Reply.id).where(col(Reply.state).in_(waiting), Reply.expires_at <= now)
            overtime = session.exec(late.limit(1)).first() is not None
            missed = [t for t in tracks if overdue(session, [t], now - t.every - MISSED)]
        for track in missed:  # the scheduler's own thread may have stumbled over a full disk
            if self.poll(track.key):
                log.warning("poll was missed", track=track.key)
        if overtime:
            with self.app.database.write() as session:
                expired = outbox.expire(session, now)
            if expired:  # what is half out does not expire
                log.info("replies expired", replies=expired)

    # --- polls -------------------------------------------------------------------------------

    def _make_scheduler(self) -> BackgroundScheduler:
        """Missed polls run once, however many were missed and however late (APScheduler's default
        of one second's grace would drop them).

        A poll that is due is a note to its worker, so the scheduler's own thread makes it. A pool
        of threads would be closed first at shutdown, and refuse what falls due meanwhile.
        """
        return _Scheduler(
            executors={"default": DebugExecutor()},
            jobstores={
                "default": SQLAlchemyJobStore(engine=self.app.database.writer, tablename=JOBS_TABLE)
            },
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )

    def _start_scheduler(self) -> None:
        self._scheduler.start(paused=True)
        self._sync_jobs()
        with self.app.database.read() as session:
            for track in overdue(session, list(self._rules.polled.values()), utc_now()):
                self.poll(track.key)
        self._scheduler.resume()

    def _sync_jobs(self) -> None:
        """Add and remove only what differs: replacing a job resets its clock, and a service that is
        restarted often would never poll."""
        wanted = self._rules.polled
        for job in self._scheduler.get_jobs():
            track = wanted.get(job.id)
            if track is None:
                job.remove()
            elif job.trigger.interval != track.every:
                job.reschedule(_interval(track))
            elif job.next_run_time > utc_now() + 2 * track.every:
                job.modify(next_run_time=utc_now())  # by a clock that was ahead
        for key in wanted.keys() - {job.id for job in self._scheduler.get_jobs()}:
            self._scheduler.add_job(
                "bot.service.daemon:poll_due",
                _interval(wanted[key]),
                args=[key],
                id=key,
                next_run_time=utc_now(),
            )

    # --- life ----------------------------------------------------------------------------------

    def _workers(self) -> list[Worker]:
        return [self._render, *self._accounts.values(), *self._images]

    def _wake(self, account: str) -> None:
        self._accounts[account].wake.set()

    def _wake_all(self) -> None:
        for worker in self._workers():
            worker.wake.set()

    def _join(self) -> None:
        self.stop()
        decoder.shared.stop()  # no picture is worth the waiting
        deadline = time.monotonic() + GRACE
        for worker in self._workers():
            worker.join(max(0.1, deadline - time.monotonic()))
            if worker.is_alive():
                # What it has in the air is a committed row: the next start reconciles it.
                log.warning("worker abandoned", worker=worker.name)
        self._stages.runtime.close()

    def _alive(self) -> tuple[bool, dict[str, Any]]:
        now = time.monotonic()
        quiet = {w.name: round(now - w.alive_at, 1) for w in self._workers()}
        fine = all(w.is_alive() for w in self._workers()) and max(quiet.values()) < STALL
        return fine, {"seconds_since_sign": quiet}

    def _state(self) -> ServiceState:
        return look(self.app.settings, self.app.database, utc_now())

    def _ready(self) -> tuple[bool, dict[str, Any]]:
        state = self._state()
        accounts = {account.name: account.fine for account in state.accounts}
        details: dict[str, Any] = {
            "logged_in": accounts,
            "tracks": {track.key: track.health for track in state.tracks},
            "troubles": [f"{one.topic}: {one.text}" for one in state.troubles],
        }
        damage = self._damage or state.database_error
        details |= {"damage": damage} if damage else {}
        return all(accounts.values()) and self._alive()[0] and not damage, details

    def _measure(self) -> None:
        observe.tell(self._state())

    def _start_health(self) -> HealthServer | None:
        address = self.app.settings.health.address
        if address is None:
            return None
        server = HealthServer(address, self._alive, self._ready, self._measure)
        server.start()
        log.info("health server started", port=server.port)
        return server

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # a test runs us in a thread and calls stop() itself
        asked: list[int] = []

        def stop(number: int, _frame: Any) -> None:
            if asked or self._stop.is_set():
                os._exit(128 + number)  # asked twice: the rows are safe, go at once
            # It interrupts the main thread, which may hold the lock of any Event: to set one here
            # would wait for ever. This queue is made for it.
            asked.append(number)
            self._signals.put(number)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, lambda *_: self._reload.ask())


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]
    def _process_jobs(self) -> float | None:
        """Keep the scheduler's thread alive when the disk is full: it makes every poll due."""
        try:
            wait: float | None = super()._process_jobs()
        except (SQLAlchemyError, StorageError) as error:
            log.error("storage failed", chore="schedule", error=str(error).splitlines()[0])
            return RETRY_STORAGE
        return wait


def _interval(track: Track) -> IntervalTrigger:
    jitter = min(track.every * 0.05, timedelta(minutes=2)).total_seconds()
    return IntervalTrigger(
        seconds=track.every.total_seconds(), timezone="UTC", jitter=jitter if jitter >= 1 else None
    )


def _share_heaps() -> None:
    """glibc gives each thread a heap of its own and rarely takes it back: two are enough for us."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every libc has it
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def _forget_running() -> None:
    global _running  # noqa: PLW0603 - see Daemon.run
    _running = None


def notify(message: str) -> None:
    """systemd's Type=notify and watchdog; nothing elsewhere."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.setblocking(False)  # nor may the main thread wait for somebody who does not read
        channel.sendto(message.encode(), address)  # the manager may be gone; we go on
