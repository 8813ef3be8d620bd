"""Posts, replies, latencies and limits over time: for the console and its API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from bot.core.errors import UsageError
from bot.service.app import App
from storage import series
from storage.series import Latency, LimitUse, PostCount, ReplyCount, TimeSpan, Unit

MOST = 1000  # buckets in one answer
USUAL = timedelta(days=7)
BY_HOUR = timedelta(days=3)  # up to here, by the hour, if nobody says otherwise


class Series(StrEnum):
    POSTS = "posts"
    REPLIES = "replies"
    LATENCIES = "latencies"
    LIMITS = "limits"


# What each counts, and the columns of its rows.
COUNTED: dict[Series, tuple[Callable[[Session, TimeSpan], Sequence[Any]], type[Any]]] = {
    Series.POSTS: (series.posts, PostCount),
    Series.REPLIES: (series.replies, ReplyCount),
    Series.LATENCIES: (series.latencies, Latency),
    Series.LIMITS: (series.limits, LimitUse),
}


def span_of(
    since: datetime | None, until: datetime | None, by: Unit | None, now: datetime
) -> TimeSpan:
    """The whole hours or days between two moments; the last week where none is named.

    Raises UsageError for a span that is empty or has more than MOST hours or days.
    """
    end = until or now
    begin = since or end - USUAL
    if begin >= end:
        raise UsageError("the span is empty: `since` must be before `until`")
    unit = by or (Unit.HOUR if end - begin <= BY_HOUR else Unit.DAY)
    if (end - begin) / unit.length > MOST:
        raise UsageError(f"the span has more than {MOST} {unit.value}s")
    return TimeSpan.around(begin, end, unit)


def rows_of(app: App, which: Series, span: TimeSpan) -> list[dict[str, Any]]:
    """One for each hour or day, oldest first; of limits, one for each of their classes in use."""
    count, _ = COUNTED[which]
    with app.database.read() as session:
        return [asdict(row) for row in count(session, span)]


def columns_of(which: Series) -> list[str]:
    _, row = COUNTED[which]
    return list(row.__dataclass_fields__)
