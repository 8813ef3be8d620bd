"""Collecting beside everything else: a person asks, the account's thread works on it in turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import (
    AuthError,
    LoginRequired,
    NameTaken,
    RateLimited,
    StorageError,
    TagechoError,
    TargetGone,
    TargetPrivate,
    UsageError,
)
from bot.core.events import Post, TrackKind
from bot.flow.backfill import CHUNK, Collector, CollectSummary, Want, everything
from bot.flow.filters import parse_filter
from bot.flow.ingest import Ingest
from bot.flow.policy import Policy, Track
from bot.flow.reply_rule import Us, Watch
from bot.platforms.base import Platform
from bot.service.app import App, tracks_of
from storage import collect_requests
from storage.tables import CollectRequest

log = structlog.get_logger()
MAX_FAILURES = 3  # in a row
PAUSE = timedelta(seconds=60)  # after a failure, or where a limit names no time


@dataclass(frozen=True, slots=True)
class Target:
    """What is collected, and by whom."""

    account: str
    kind: TrackKind
    name: str
    dataset: str | None = None  # None: that of the track, else the name

    @property
    def key(self) -> str:
        return f"{self.account}:{self.kind}:{self.name}"


def track_of(settings: Settings, target: Target) -> Track:
    """The configured track of the target, or one that is never polled."""
    known = tracks_of(settings).get(target.key)
    dataset = target.dataset or (known.dataset if known else target.name)
    return Track(
        target.key, target.account, target.kind, target.name, timedelta(0), dataset=dataset
    )


def figures(summary: CollectSummary) -> dict[str, int]:
    """A summary as figures that can be added up."""
    taken = summary.taken
    return {
        "listed": summary.listed,
        "matched": summary.matched,
        "new": taken.new,
        "changed": taken.changed,
        "kept_out": taken.kept_out,
        "skipped": taken.skipped,
        "comments": summary.comments,
    }


@dataclass(slots=True)
class _Run:
    """The request that is worked on, and what it had before this turn."""

    number: int
    collector: Collector
    posts: Iterator[Post]
    before: dict[str, int]
    failures: int


class Requested:
    """The requests of one account. Belongs to the account's thread."""

    def __init__(self, app: App, account: str, ingest: Ingest) -> None:
        self._app = app
        self._account = account
        self._ingest = ingest
        self._run: _Run | None = None

    def next(self, platform: Platform, policy: Policy, us: Us) -> bool:
        """Some posts of the request in hand, so that whatever is due comes before the next ones.
        False when there is none.

        Raises LoginRequired, and AuthError and StorageError, after the request was put back.
        """
        run = self._run or self._begin(platform, policy, us)
        if run is None:
            return False
        self._run = None  # unless it comes to its turn's end
        try:
            for _ in range(CHUNK):
                if next(run.posts, None) is None:
                    self._finish(run)
                    return True
        except TagechoError as error:
            self._broke(run, error)
            if isinstance(error, AuthError | StorageError):
                raise
            return True
        if self._tell(run):
            self._run = run
        return True

    def _begin(self, platform: Platform, policy: Policy, us: Us) -> _Run | None:
        with self._app.database.write() as session:
            asked = collect_requests.claim(session, self._account, utc_now())
        if asked is None:
            return None
        target = Target(asked.account, TrackKind(asked.kind), asked.name, asked.dataset)
        watch = Watch(track_of(self._app.settings, target), policy, us)
        collector = Collector(
            self._app.database, self._ingest, self._app.optouts, platform, watch, want_of(asked)
        )
        log.info("collection begun", request=asked.id, target=target.key)
        return _Run(asked.id or 0, collector, collector.run(), dict(asked.summary), asked.failures)

    def _tell(self, run: _Run) -> bool:
        """Write down how far it has come. False when nobody wants it any more."""
        with self._app.database.write() as session:
            collect_requests.tell(session, run.number, _so_far(run), worked=True)
            return collect_requests.wanted(session, run.number)

    def _finish(self, run: _Run) -> None:
        self._tell(run)
        complete = run.collector.summary.complete
        with self._app.database.write() as session:
            collect_requests.finish(session, run.number, complete=complete, now=utc_now())
        log.info("collection finished", request=run.number, **_so_far(run))

    def _broke(self, run: _Run, error: TagechoError) -> None:
        """It goes on later, from where it was; or it is over, when that would not help."""
        now, why = utc_now(), f"{type(error).__name__}: {error}"
        with self._app.database.write() as session:
            collect_requests.tell(session, run.number, _so_far(run), worked=False)
            if isinstance(error, NameTaken | TargetGone | TargetPrivate | UsageError):
                collect_requests.fail(session, run.number, str(error), UsageError.exit_code, now)
            elif isinstance(error, RateLimited | LoginRequired | StorageError | AuthError):
                collect_requests.hold(session, run.number, _later(error, now), why, failed=False)
            elif run.failures + 1 >= MAX_FAILURES:
                collect_requests.fail(session, run.number, str(error), error.exit_code, now)
            else:
                collect_requests.hold(session, run.number, now + PAUSE, why, failed=True)
        log.warning("collection broken", request=run.number, error=why)


def want_of(asked: CollectRequest) -> Want:
    matches = parse_filter(asked.filter) if asked.filter else everything
    return Want(asked.most, asked.since, matches, asked.comments)


def _so_far(run: _Run) -> dict[str, int]:
    return collect_requests.together(run.before, figures(run.collector.summary))


def _later(error: TagechoError, now: datetime) -> datetime:
    if isinstance(error, LoginRequired):
        return now  # as soon as somebody is logged in again
    wait = error.retry_after if isinstance(error, RateLimited) else None
    return now + (PAUSE if wait is None else timedelta(seconds=wait))
