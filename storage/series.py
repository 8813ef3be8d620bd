"""Figures over time, counted by the database: posts, replies, latencies, limits.

Every bucket of the span has a row, an empty one too, the oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Double, String, cast, extract, func, literal_column
from sqlmodel import Session, col, select

from storage.tables import (
    LimitHour,
    PostRow,
    Reply,
    ReplyEvent,
    ReplyState,
)

OUTCOMES = (
    ReplyState.SENT,
    ReplyState.DRY_RUN,
    ReplyState.REJECTED,
    ReplyState.EXPIRED,
    ReplyState.CANCELLED,
    ReplyState.FAILED,
    ReplyState.UNKNOWN,
)
HALF, MOST = 50, 95  # the percentiles of latencies
BEGINNINGS = ("post", "trigger", "approval")  # since when they count


class Unit(StrEnum):
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return timedelta(hours=1) if self is Unit.HOUR else timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `since` on, before `until`; both are where a bucket begins, in UTC."""

    since: datetime
    until: datetime
    by: Unit

    @classmethod
    def around(cls, since: datetime, until: datetime, by: Unit) -> TimeSpan:
        """The whole buckets that these two moments lie in."""
        begin = floor(since, by)
        end = floor(until, by)
        return cls(begin, end if end == until and end > begin else end + by.length, by)

    def buckets(self) -> list[datetime]:
        count = round((self.until - self.since) / self.by.length)
        return [self.since + n * self.by.length for n in range(count)]


@dataclass(frozen=True, slots=True)
class PostCount:
    at: datetime  # when the bucket begins
    posts: int = 0


@dataclass(frozen=True, slots=True)
class ReplyCount:
    """How often replies came into a state; one that was tried again may fail twice."""

    at: datetime
    asked: int = 0
    sent: int = 0
    dry_run: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    failed: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the replies that were published in the bucket, in seconds: from the post, from when it was
    seen to ask, and from the approval, until the reply was there. None: nothing was measured."""

    at: datetime
    replies: int = 0
    post_p50: float | None = None
    post_p95: float | None = None
    trigger_p50: float | None = None
    trigger_p95: float | None = None
    approval_p50: float | None = None
    approval_p95: float | None = None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """Of one account and action class, in one bucket. Buckets without any use have no row."""

    at: datetime
    account: str
    action: str
    requests: int
    fewest_left: float | None
    waits: int
    waited_seconds: float
    pauses: int
    paused_seconds: float


def posts(session: Session, span: TimeSpan) -> list[PostCount]:
    """By the time they were stored for the first time."""
    at = _bucket(session, PostRow.first_seen, span.by)
    statement = select(at, func.count()).where(_inside(PostRow.first_seen, span)).group_by(at)
    found = {_moment(key): count for key, count in session.exec(statement).all()}
    return [PostCount(begin, found.get(begin, 0)) for begin in span.buckets()]


def replies(session: Session, span: TimeSpan) -> list[ReplyCount]:
    """By the time of each change of state."""
    at = _bucket(session, ReplyEvent.at, span.by)
    asked = (ReplyEvent.old == "") & (ReplyEvent.new == ReplyState.QUEUED)
    statement: Any = (
        select(at, ReplyEvent.new, func.count())
        .where(_inside(ReplyEvent.at, span), col(ReplyEvent.new).in_(OUTCOMES) | asked)
        .group_by(at, col(ReplyEvent.new))
    )
    found: dict[datetime, dict[str, int]] = {}
    for key, state, count in session.exec(statement).all():
        name = "asked" if state == ReplyState.QUEUED else str(state)
        found.setdefault(_moment(key), {})[name] = count
    return [ReplyCount(begin, **found.get(begin, {})) for begin in span.buckets()]


def latencies(session: Session, span: TimeSpan) -> list[Latency]:
    """By the time of publication; nearest-rank percentiles.

    The database finds the replies, and NumPy ranks them: a third of the time of window functions.
    """
    rows = session.connection().execute(_published(session, span)).all()
    number: dict[Any, int] = {}  # of each bucket that has a reply
    places = np.array([number.setdefault(row[0], len(number)) for row in rows], np.intp)
    found: list[dict[str, Any]] = [
        {"replies": int(count)} for count in np.bincount(places, minlength=len(number))
    ]
    for column, name in enumerate(BEGINNINGS, 1):
        seconds = np.array([row[column] for row in rows], np.float64)  # None becomes NaN
        for share, values in _percentiles(places, seconds, len(number)).items():
            for one, value in zip(found, values, strict=True):
                one[f"{name}_p{share}"] = value
    known = {_moment(key): found[place] for key, place in number.items()}
    return [Latency(begin, **known.get(begin, {})) for begin in span.buckets()]


def limits(session: Session, span: TimeSpan) -> list[LimitUse]:
    at = _bucket(session, LimitHour.hour, span.by)
    of = [at, col(LimitHour.account), col(LimitHour.action)]
    figures: list[Any] = [
        func.sum(LimitHour.taken),
        func.min(LimitHour.fewest),
        func.sum(LimitHour.waits),
        func.sum(LimitHour.waited),
        func.sum(LimitHour.pauses),
        func.sum(LimitHour.paused),
    ]
    statement: Any = select(*of, *figures)
    statement = statement.where(_inside(LimitHour.hour, span)).group_by(*of).order_by(*of)
    return [LimitUse(_moment(key), *values) for key, *values in session.exec(statement).all()]


def floor(moment: datetime, by: Unit) -> datetime:
    """When the hour or day, UTC, of this moment began."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if by is Unit.HOUR else hour.replace(hour=0)


def _published(session: Session, span: TimeSpan) -> Any:
    """The bucket of each reply that was published, and the seconds since each of BEGINNINGS."""
    approved = (
        select(func.max(ReplyEvent.at))
        .where(ReplyEvent.reply == Reply.id, ReplyEvent.new == ReplyState.APPROVED)
        .correlate(Reply)
        .scalar_subquery()
    )
    begun = {"post": PostRow.taken_at, "trigger": Reply.created, "approval": approved}
    statement: Any = select(
        _bucket(session, Reply.sent_at, span.by).label("at"),
        *(_seconds(session, begun[name], Reply.sent_at).label(name) for name in BEGINNINGS),
    )
    posts = col(PostRow.id) == Reply.post
    return (
        statement.select_from(Reply)
        .join(PostRow, posts, isouter=True)
        .where(_inside(Reply.sent_at, span), Reply.state == ReplyState.SENT)
    )


def _percentiles(
    places: NDArray[np.intp], seconds: NDArray[np.float64], count: int
) -> dict[int, list[float | None]]:
    """HALF and MOST of the values of each of `count` places. (n,) each, NaN: not measured."""
    known = ~np.isnan(seconds)
    places, seconds = places[known], np.maximum(seconds[known], 0)
    if not len(places):
        return {share: [None] * count for share in (HALF, MOST)}
    ordered = seconds[np.lexsort((seconds, places))]
    held = np.bincount(places, minlength=count)
    first = np.cumsum(held) - held
    found: dict[int, list[float | None]] = {}
    for share in (HALF, MOST):
        ranked = ordered[np.clip(first + (held * share + 99) // 100 - 1, 0, len(ordered) - 1)]
        found[share] = [
            float(value) if some else None for value, some in zip(ranked, held, strict=True)
        ]
    return found


# --- time, as both databases have it ------------------------------------------------------------


def _bucket(session: Session, moment: Any, by: Unit) -> Any:
    """Equal for all moments of an hour or day of UTC."""
    if session.get_bind().dialect.name == "sqlite":  # 2026-03-01 12:00:00.000000
        digits: Any = literal_column("13" if by is Unit.HOUR else "10")
        return func.substr(moment, literal_column("1"), digits, type_=String())
    unit: Any = literal_column(f"'{by.value}'")
    return func.date_trunc(unit, func.timezone(literal_column("'UTC'"), moment))


def _moment(key: object) -> datetime:
    if isinstance(key, datetime):
        return key.replace(tzinfo=UTC)
    text = str(key)
    return datetime.fromisoformat(text if len(text) == 10 else f"{text}:00").replace(tzinfo=UTC)


def _inside(moment: Any, span: TimeSpan) -> Any:
    column = col(moment)
    return (column >= span.since) & (column < span.until)


def _seconds(session: Session, begin: Any, end: Any) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        return (func.julianday(end) - func.julianday(begin)) * 86400.0
    return cast(extract("epoch", end - begin), Double)  # else a Decimal for each
