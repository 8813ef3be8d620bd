"""Replies: the queue on one side, one reply in large on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks
from bot.console.api import replies as api
from bot.console.context import Here
from bot.console.pages.rendering import page
from bot.core.errors import UsageError
from bot.verbs.review import TO_DECIDE
from models.compose.styles import styles
from storage import outbox
from storage.tables import ReplyState

S = ReplyState
router = APIRouter(include_in_schema=False)
PAGE = 40  # lines of the list
# The lists that a person wants: name, label, the states in them.
VIEWS: dict[str, tuple[str, tuple[ReplyState, ...]]] = {
    "decide": ("To decide", TO_DECIDE),
    "underway": ("Under way", (S.QUEUED, S.RENDERING, S.APPROVED, S.SENDING)),
    "sent": ("Sent", (S.SENT, S.DRY_RUN)),
    "stopped": ("Stopped", (S.FAILED, S.REJECTED, S.EXPIRED, S.CANCELLED)),
    "all": ("All", ()),
}
REASONS = ("wrong object", "mask is wrong", "too dark", "not a fitting photo", "shows a person")


@dataclass(frozen=True, slots=True)
class ListAsked:
    """Which list, which of it, and from where on."""

    view: Annotated[str, Query(max_length=20)] = "decide"
    state: Annotated[str, Query(max_length=40)] = ""
    author: Annotated[str, Query(max_length=200)] = ""
    before: Annotated[int | None, Query(ge=1, le=api.LARGEST)] = None


@router.get("/replies")
def replies(
    request: Request,
    here: Here,
    person: Asks,
    asked: Annotated[ListAsked, Depends()],
    id: Annotated[int | None, Query(ge=1, le=api.LARGEST)] = None,
) -> HTMLResponse:
    view, state, author, before = asked.view, asked.state, asked.author, asked.before
    if view not in VIEWS:
        raise HTTPException(404, "there is no such list")
    found, problem = api.ReplyList(replies=[], total=0), ""
    wanted = list(VIEWS[view][1])
    try:
        wanted = [state_of(state)] if state else wanted
        found = api.replies(here, wanted, author or None, PAGE, before)
    except UsageError as error:  # a state that there is not, or a name that nobody has
        problem = str(error)
    with here.app.database.read() as session:
        counts = outbox.states(session)
    said = asdict(asked)
    accounts = {name: one.username for name, one in here.settings.accounts.items()}
    chosen = id if id is not None else found.replies[0].id if found.replies else None
    return page(
        request,
        person,
        "replies.html",
        rows=found.replies,
        total=found.total,
        problem=problem,
        tabs=_tabs(counts),
        view=view,
        state=state,
        author=author,
        before=before,
        chosen=chosen,
        opened=id is not None,
        reply=api.reply(here, chosen) if chosen is not None else None,
        query=urlencode([*(("state", one) for one in wanted), *_of(author)]),
        here_with=lambda **change: _address(said | change),
        states=list(ReplyState),
        usernames=accounts,
        styles=styles(),
        reasons=REASONS,
    )


def state_of(name: str) -> ReplyState:
    """Raises UsageError."""
    if name not in list(ReplyState):
        raise UsageError(f"no state {name!r}; there are {', '.join(ReplyState)}")
    return ReplyState(name)


def _of(author: str) -> list[tuple[str, str]]:
    return [("author", author)] if author else []


def _tabs(counts: Mapping[str, int]) -> Sequence[tuple[str, str, int]]:
    """Name, label and number of replies of each list."""
    return [
        (name, label, sum(counts[state] for state in states or ReplyState))
        for name, (label, states) in VIEWS.items()
    ]


def _address(said: Mapping[str, Any]) -> str:
    query = urlencode({key: value for key, value in said.items() if value})
    return f"/replies?{query}" if query else "/replies"
