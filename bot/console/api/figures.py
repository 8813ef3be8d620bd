"""What happened over time: posts, replies, latencies, limits, by the hour or day, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response, StreamingResponse

from bot.console.api.answers import ANSWERS
from bot.console.context import Here
from bot.core.clock import utc_now
from bot.core.csv_text import csv_lines
from bot.verbs.figures import MOST, Series, columns_of, rows_of, span_of
from storage.series import TimeSpan, Unit

router = APIRouter(prefix="/api/figures", tags=["figures"], responses=ANSWERS)
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}


class Row(BaseModel):
    at: datetime = Field(description="When the hour or day begins.")


class PostsAt(Row):
    """Posts that were stored for the first time."""

    posts: int


class RepliesAt(Row):
    """How often replies came into a state; one that was tried again may fail twice."""

    asked: int
    sent: int
    dry_run: int
    rejected: int
    expired: int
    cancelled: int
    failed: int
    unknown: int


class LatencyRow(Row):
    """Seconds until the replies of this hour or day were published: from the post, from when it
    was seen to ask, from the approval. Median and 95th percentile; null: nothing to measure."""

    replies: int
    post_p50: float | None
    post_p95: float | None
    trigger_p50: float | None
    trigger_p95: float | None
    approval_p50: float | None
    approval_p95: float | None


class LimitRow(Row):
    """How the limit of an account and action class was used. `*`: pauses of all classes."""

    account: str
    action: str
    requests: int
    fewest_left: float | None = Field(description="Of the requests that may be made at once.")
    waits: int = Field(description="How often our own limit let nothing through.")
    waited_seconds: float
    pauses: int = Field(description="How often the platform stopped it, or a login failed.")
    paused_seconds: float


class Over(BaseModel):
    """Of which span: from `since` on, before `until`."""

    since: datetime
    until: datetime
    by: Unit


class PostsOver(Over):
    rows: list[PostsAt]


class RepliesOver(Over):
    rows: list[RepliesAt]


class LatenciesOver(Over):
    rows: list[LatencyRow]


class LimitsOver(Over):
    rows: list[LimitRow]


def wanted_span(
    since: Annotated[
        AwareDatetime | None, Query(description="A moment with its zone; a week before `until`.")
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="A moment with its zone; now.")
    ] = None,
    by: Annotated[
        Unit | None, Query(description=f"At most {MOST} of them; by default what fits the span.")
    ] = None,
) -> TimeSpan:
    """Raises UsageError."""
    return span_of(since, until, by, utc_now())


Wanted = Annotated[TimeSpan, Depends(wanted_span)]


@router.get("/posts", summary="Posts stored over time")
def posts(here: Here, span: Wanted) -> PostsOver:
    return PostsOver.model_validate(over(here, Series.POSTS, span))


@router.get("/replies", summary="Replies over time, by what became of them")
def replies(here: Here, span: Wanted) -> RepliesOver:
    return RepliesOver.model_validate(over(here, Series.REPLIES, span))


@router.get("/latencies", summary="How long it took until replies were published")
def latencies(here: Here, span: Wanted) -> LatenciesOver:
    return LatenciesOver.model_validate(over(here, Series.LATENCIES, span))


@router.get("/limits", summary="How the limits of accounts were used")
def limits(here: Here, span: Wanted) -> LimitsOver:
    return LimitsOver.model_validate(over(here, Series.LIMITS, span))


@router.get("/{which}.csv", summary="One of them as CSV", response_class=Response, responses=CSV)
def as_csv(here: Here, which: Series, span: Wanted) -> StreamingResponse:
    rows = rows_of(here.app, which, span)
    return StreamingResponse(
        csv_lines(columns_of(which), rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{which.value}.csv"'},
    )


def over(here: Here, which: Series, span: TimeSpan) -> dict[str, Any]:
    rows = rows_of(here.app, which, span)
    return {"since": span.since, "until": span.until, "by": span.by, "rows": rows}
