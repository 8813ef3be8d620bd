"""What happened over time, as plots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks
from bot.console.api.dataset import Given
from bot.console.context import Here
from bot.console.pages import plots
from bot.console.pages.plots import Column, Plot
from bot.console.pages.rendering import page
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.verbs.figures import Series, rows_of, span_of
from bot.verbs.pages import words
from storage.series import TimeSpan, Unit

router = APIRouter(include_in_schema=False)
# The spans that a person wants: name, label, how long.
SPANS: dict[str, tuple[str, timedelta]] = {
    "day": ("24 hours", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
    "year": ("A year", timedelta(days=365)),
}
# The colours of what became of replies: the same as its word has elsewhere.
OUTCOMES = {
    "sent": "t2",
    "dry_run": "t0",
    "rejected": "t3",
    "expired": "t4",
    "cancelled": "t7",
    "failed": "t1",
    "unknown": "t5",
}


@router.get("/figures")
def figures(
    request: Request,
    here: Here,
    person: Asks,
    span: Annotated[str, Query(max_length=20)] = "week",
    since: Annotated[date | None, Given, Query()] = None,
    until: Annotated[date | None, Given, Query(description="With this day.")] = None,
    by: Annotated[Unit | None, Given, Query()] = None,
) -> HTMLResponse:
    now, problem = utc_now(), ""
    named = span if span in SPANS else "week"
    chosen = span_of(now - SPANS[named][1], now, None, now)
    own = since is not None or until is not None
    try:
        if own:
            chosen = _span_of_days(since, until, by, now)
        elif by is not None:
            chosen = span_of(now - SPANS[named][1], now, by, now)
    except UsageError as error:
        problem = str(error)
    return page(
        request,
        person,
        "figures.html",
        spans=[(name, label) for name, (label, _) in SPANS.items()],
        named="" if own else named,
        since=f"{since or chosen.since:%Y-%m-%d}",
        until=f"{until or chosen.until - timedelta(seconds=1):%Y-%m-%d}",
        chosen=chosen,
        problem=problem,
        asked=urlencode(
            {
                "since": chosen.since.isoformat(),
                "until": chosen.until.isoformat(),
                "by": chosen.by.value,
            }
        ),
        plots=[] if problem else _plots(here, chosen),
    )


def _span_of_days(
    since: date | None, until: date | None, by: Unit | None, now: datetime
) -> TimeSpan:
    end = datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None
    begin = datetime.combine(since, time(), UTC) if since else None
    return span_of(begin, end, by, now)


def _plots(here: Here, span: TimeSpan) -> list[tuple[Series, Plot]]:
    rows = {which: rows_of(here.app, which, span) for which in Series}
    labels = plots.hours(span.buckets(), by_day=span.by is Unit.DAY)
    drawn = [
        (Series.POSTS, _posts(rows[Series.POSTS], labels)),
        (Series.REPLIES, _replies(rows[Series.REPLIES], labels)),
        (Series.LATENCIES, _latencies(rows[Series.LATENCIES], labels)),
        (Series.LIMITS, _requests(rows[Series.LIMITS], span, labels)),
        (Series.LIMITS, _held(rows[Series.LIMITS], span, labels)),
    ]
    return sorted(drawn, key=lambda one: one[1].empty)  # what has nothing to show comes last


def _posts(rows: list[dict[str, Any]], labels: list[str]) -> Plot:
    column = Column("posts", [row["posts"] for row in rows], "t0")
    return plots.bars("posts", "Posts stored (number)", labels, [column])


def _replies(rows: list[dict[str, Any]], labels: list[str]) -> Plot:
    columns = [
        Column(words(name), [row[name] for row in rows], tone) for name, tone in OUTCOMES.items()
    ]
    return plots.bars("replies", "Replies, by what became of them (number)", labels, columns)


def _latencies(rows: list[dict[str, Any]], labels: list[str]) -> Plot:
    named = {
        "post_p50": ("since post, median", "t0"),
        "post_p95": ("since post, 95 %", "t6"),
        "trigger_p50": ("since seen, median", "t2"),
        "trigger_p95": ("since seen, 95 %", "t4"),
        "approval_p50": ("since approval, median", "t5"),
        "approval_p95": ("since approval, 95 %", "t3"),
    }
    columns = [
        Column(name, [row[key] for row in rows], tone) for key, (name, tone) in named.items()
    ]
    return plots.durations(
        "latencies", "Time until a reply was published (s, min, h, d)", labels, columns
    )


def _requests(rows: list[dict[str, Any]], span: TimeSpan, labels: list[str]) -> Plot:
    columns = _by_class(rows, span, ("requests",))
    return plots.bars("requests", "Requests that count towards a limit (number)", labels, columns)


def _held(rows: list[dict[str, Any]], span: TimeSpan, labels: list[str]) -> Plot:
    columns = _by_class(rows, span, ("waits", "pauses"))
    return plots.bars("held", "Requests that had to wait (times)", labels, columns)


def _by_class(rows: list[dict[str, Any]], span: TimeSpan, figures: Sequence[str]) -> list[Column]:
    """A column for each account and class of actions that has any of these figures."""
    buckets = {at: place for place, at in enumerate(span.buckets())}
    several = len({row["account"] for row in rows}) > 1
    found: dict[str, list[float]] = {}
    for row in rows:
        for figure in figures:
            if not row[figure]:
                continue
            what = words(row["action"]) if row["action"] != "*" else "all actions"
            name = f"{row['account']}: {what}" if several else what
            name += f", {figure}" if len(figures) > 1 else ""
            found.setdefault(name, [0.0] * len(buckets))[buckets[row["at"]]] += row[figure]
    return [
        Column(name, values, plots.tone_of(place))
        for place, (name, values) in enumerate(sorted(found.items()))
    ]
