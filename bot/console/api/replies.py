"""The queue and the log of replies, and a person's word on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from bot.console.access.actions import note
from bot.console.access.roles import Asks, Person
from bot.console.api.answers import ANSWERS
from bot.console.context import Context, Here
from bot.core.csv_text import csv_lines
from bot.core.errors import UsageError
from bot.verbs.replies import EXPORTED, Asked, Decided, Word, decide, everything, listed
from bot.verbs.review import review
from models.base import ImageRejected
from models.compose.styles import styles
from storage.tables import Reply, ReplyState

router = APIRouter(prefix="/api/replies", tags=["replies"], responses=ANSWERS)
LARGEST = 2**63 - 1  # of a row's number
MOST = 500  # replies in one request
FOREVER = "private, max-age=31536000, immutable"  # an address with its hash never shows another

Number = Annotated[int, Path(ge=1, le=LARGEST, description="Of the reply.")]
Numbers = Annotated[
    list[Annotated[int, Field(ge=1, le=LARGEST)]], Field(min_length=1, max_length=MOST)
]
Sides = Annotated[int, Query(ge=32, le=1600, description="The longer side of the picture, in px.")]


class ReplyBrief(BaseModel):
    """One line of the list."""

    id: int
    state: ReplyState
    reason: str = Field(description="Why it is where it is.")
    author: str = Field(description="The user name that was seen last; empty: nobody is known.")
    account: str
    source_post: str
    source_url: str
    trigger: str
    style: str
    confidence: float | None
    mode: str
    picture: str = Field(description="The version of its picture; empty: none yet.")
    url: str = Field(description="Of the published reply.")
    created: datetime
    sent_at: datetime | None
    not_before: datetime


class ReplyList(BaseModel):
    replies: list[ReplyBrief]
    total: int = Field(description="How many meet what was asked, with those that are not shown.")


class StepLine(BaseModel):
    """One write on the network."""

    way: int
    kind: str
    state: str
    sends: int
    remote_id: str
    error: str
    readings: list[dict[str, str]]


class HistoryLine(BaseModel):
    """One change of state."""

    at: datetime
    old: str = Field(alias="from")
    new: str = Field(alias="to")
    who: str
    why: str


class PlannedWrite(BaseModel):
    """What would be sent now."""

    mode: str
    meaning: str
    kind: str
    text: str


class ReplyFull(ReplyBrief):
    """Everything about a reply."""

    platform: str
    author_id: str
    caption: str = Field(description="Of the post; a text of a stranger, never markup.")
    taken_at: datetime | None
    track: str
    text: str = Field(description="What a person wrote in place of the operator's caption.")
    alt_text: str
    doubt: str = Field(description="Why the mask may be wrong; empty: nothing says so.")
    seconds: float | None
    timings: dict[str, float]
    expires_at: datetime
    approved_by: str
    steps: list[StepLine]
    history: list[HistoryLine]
    will_send: list[PlannedWrite]
    may: list[str] = Field(description="What may be said on it, as the paths of this API.")
    images: list[str] = Field(description="Which pictures there are: before, mask, after.")
    versions: dict[str, str] = Field(description="Of each of them; `v` of its address, to keep it.")


class SaidOf(BaseModel):
    """Which replies."""

    replies: Numbers


class SaidWhy(SaidOf):
    """Which replies, and why."""

    why: str = Field("", max_length=500)


class SaidHow(SaidOf):
    """Which replies, in which style, and with which text in place of the operator's caption."""

    style: str
    text: str | None = Field(None, max_length=2000, description="Empty: the operator's own.")


class ReplyOutcome(BaseModel):
    """What became of one reply. Of two people at once one is first; the other is told who."""

    reply: int
    done: bool
    state: str = Field(description="The state that it has now; empty: there is no such reply.")
    error: str
    by: str = Field(description="Who changed it last.")
    at: datetime | None


class Outcomes(BaseModel):
    outcomes: list[ReplyOutcome]


class PictureKind(StrEnum):
    BEFORE = "before"
    MASK = "mask"
    AFTER = "after"


States = Annotated[list[ReplyState] | None, Query(description="In one of these.")]
By = Annotated[
    str | None, Query(max_length=200, description="A user name, a former one, or an id.")
]


@router.get("", summary="Replies, newest first")
def replies(
    here: Here,
    state: States = None,
    author: By = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST, description="Older than this one.")
    ] = None,
) -> ReplyList:
    ranges = () if before is None else (range(before),)
    asked = Asked(ranges, None, author or None, tuple(state or ()))
    rows, total = listed(here.app, asked, limit)
    return ReplyList(replies=[ReplyBrief(**row) for row in rows], total=total)


@router.get(
    ".csv",
    summary=f"The same as CSV: the {EXPORTED:,} newest",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def replies_csv(here: Here, state: States = None, author: By = None) -> StreamingResponse:
    replies(here, state, author, 1)  # a mistake is told before the first line
    return StreamingResponse(
        csv_lines(list(ReplyBrief.model_fields), everything(here.app, author or None, state or ())),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="replies.csv"'},
    )


@router.get(".json", summary=f"The same as one list: the {EXPORTED:,} newest")
def replies_json(here: Here, state: States = None, author: By = None) -> list[ReplyBrief]:
    return [ReplyBrief(**row) for row in everything(here.app, author or None, state or ())]


@router.get("/{number}", summary="Everything about one reply")
def reply(here: Here, number: Number) -> ReplyFull:
    try:
        found = review(here.app, here.settings, number)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None
    found["author"] = found["author"].removeprefix("@")
    images = [one.value for one in PictureKind if found[one.value]]
    versions = {name: found[name].rpartition("/")[2][:12] for name in images}
    return ReplyFull.model_validate(found | {"images": images, "versions": versions})


@router.get(
    "/{number}/images/{which}",
    summary="A picture of a reply, reduced to a side",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
)
def image(
    request: Request, here: Here, number: Number, which: PictureKind, side: Sides = 1080
) -> Response:
    with here.app.database.read() as session:
        row = session.get(Reply, number)
        sha256 = getattr(row, f"{which}_sha256", None)
    store = here.app.originals if which is PictureKind.BEFORE else here.app.artifacts
    if not sha256 or not store.path(sha256).exists():
        raise HTTPException(404, f"reply {number} has no such picture")
    try:
        body = request.app.state.thumbnails.of(sha256, store.get(sha256), side)
    except ImageRejected as error:
        raise HTTPException(404, f"the picture cannot be shown: {error.reason}") from None
    headers = {"Cache-Control": FOREVER if "v" in request.query_params else "private, no-cache"}
    return Response(body, media_type="image/webp", headers=headers)


@router.post("/approve", summary="Approve: they are sent as soon as caps and pacing allow it")
def approve(here: Here, person: Asks, said: SaidOf) -> Outcomes:
    return _decided(here, person, said.replies, "approve")


@router.post("/reject", summary="Reject: they are never sent")
def reject(here: Here, person: Asks, said: SaidWhy) -> Outcomes:
    return _decided(here, person, said.replies, "reject", said.why)


@router.post("/redo", summary="Make them again in another style or text")
def again(here: Here, person: Asks, said: SaidHow) -> Outcomes:
    if said.style not in styles():
        raise UsageError(f"no style {said.style!r}; there are {', '.join(styles())}")
    return _decided(here, person, said.replies, "redo", said.style, said.text)


@router.post("/retry", summary="Try again what failed")
def retry(here: Here, person: Asks, said: SaidOf) -> Outcomes:
    return _decided(here, person, said.replies, "retry")


@router.post("/cancel", summary="Cancel: their posts get no reply")
def cancel(here: Here, person: Asks, said: SaidWhy) -> Outcomes:
    return _decided(here, person, said.replies, "cancel", said.why)


@router.post("/confirm", summary="Confirm that they are on the network, because you see them there")
def confirm(here: Here, person: Asks, said: SaidOf) -> Outcomes:
    return _decided(here, person, said.replies, "confirm")


@router.post("/undo", summary="Take back your approval or rejection, unless they were begun")
def undo(here: Here, person: Asks, said: SaidOf) -> Outcomes:
    return _decided(here, person, said.replies, "undo")


def _decided(
    here: Context,
    person: Person,
    numbers: Sequence[int],
    verb: str,
    what: str = "",
    text: str | None = None,
) -> Outcomes:
    found = decide(here.app, numbers, Word(verb, person.name, what, text))
    refused = [one for one in found if not one.done]
    outcome = "done" if not refused else "; ".join(one.error for one in refused[:10])
    note(here, person, f"reply {verb}", ", ".join(map(str, numbers)), outcome)
    return Outcomes(outcomes=[ReplyOutcome(**_fields(one)) for one in found])


def _fields(one: Decided) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Decided.__dataclass_fields__}
