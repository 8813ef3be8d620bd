"""The dataset: a grid that goes on and on, and one post with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks, Person, reads
from bot.console.api import dataset as api
from bot.console.context import Context, Here
from bot.console.examples import example_of
from bot.console.pages.rendering import page
from bot.core.errors import NothingToDo, UsageError
from bot.verbs import gallery
from bot.verbs.search import SearchQuery
from storage import datasets
from storage.checks import Check
from storage.gallery import GridImage, GridPage

router = APIRouter(include_in_schema=False)
PAGE = 60  # images fetched at once
Like = Annotated[int | None, Query(ge=1, le=api.LARGEST)]


@dataclass(frozen=True, slots=True)
class GridSource:
    """By which example the images were found, or why none were."""

    example: int | None = None  # a stored one
    dropped: bool = False
    problem: str = ""
    later: bool = False  # not the first page


@router.get("/dataset")
def dataset(
    request: Request,
    here: Here,
    person: Asks,
    wanted: api.Wanted,
    before: api.Before = None,
    like: Like = None,
) -> HTMLResponse:
    asked, problem, found = replace(wanted, limit=PAGE), "", GridPage([], None)
    example = None
    try:
        if like is None:
            found = gallery.browse(here.app, asked, before)
        else:
            finder = request.app.state.finder
            found = GridPage(gallery.similar(here.app, finder, here.settings, like, asked), None)
            example = like
    except (UsageError, NothingToDo) as error:  # an author whom nobody has, too few vectors
        problem = str(error)
    return _grid(
        request,
        here,
        person,
        asked,
        found,
        GridSource(example, problem=problem, later=before is not None),
    )


@router.post("/dataset/like")
@reads
def dataset_like(
    request: Request,
    here: Here,
    person: Asks,
    wanted: api.Wanted,
    example: Annotated[bytes, Depends(example_of)],
) -> HTMLResponse:
    """The grid of images like the one that was dropped; the script shows it."""
    asked = replace(wanted, limit=PAGE)
    images = gallery.similar(here.app, request.app.state.finder, here.settings, example, asked)
    return _grid(request, here, person, asked, GridPage(images, None), GridSource(dropped=True))


@router.get("/posts/{post}")
def post(request: Request, here: Here, person: Asks, post: api.Number) -> HTMLResponse:
    return page(request, person, "post.html", post=api.details(here, post), checks=list(Check))


def _grid(
    request: Request,
    here: Context,
    person: Person,
    wanted: SearchQuery,
    found: GridPage,
    how: GridSource = GridSource(),
) -> HTMLResponse:
    said = asked_for(wanted)
    with here.app.database.read() as session:
        known = datasets.names(session)
    return page(
        request,
        person,
        "dataset.html",
        images=found.images,
        following=found.following,
        wanted=wanted,
        **asdict(how),
        narrowed=bool(said),
        filters={name: value for name, value in said if name != "text"},
        query=urlencode(said),
        without=lambda *names: _address([one for one in said if one[0] not in names]),
        more=_address([*said, ("before", found.following)]) if found.following is not None else "",
        checks=list(Check),
        datasets=known,
        alt=alt_of,
    )


def asked_for(wanted: SearchQuery) -> list[tuple[str, Any]]:
    """The address's own names and values of what was asked."""
    found: list[tuple[str, Any]] = [("hashtag", tag) for tag in wanted.hashtags]
    found += [("check", check) for check in wanted.checks]
    plain: Mapping[str, Any] = {
        "text": wanted.text,
        "author": wanted.author,
        "platform": wanted.platform,
        "dataset": wanted.dataset,
        "since": f"{wanted.since:%Y-%m-%d}" if wanted.since else "",
        "until": f"{wanted.until:%Y-%m-%d}" if wanted.until else "",
        "fit": wanted.fit,
        "doubt": wanted.doubt,
        "size": wanted.size,
        "label": wanted.label,
        "clean": "true" if wanted.clean else "",
    }
    return found + [(name, value) for name, value in plain.items() if value not in ("", None)]


def alt_of(image: GridImage) -> str:
    """What a screen reader says: whose, when, and the words of it."""
    words = " ".join(image.caption.split())[:80]
    said = f"Photo by {image.author}, {image.taken_at:%Y-%m-%d}"
    return f"{said}: {words}" if words else said


def _address(said: list[tuple[str, Any]]) -> str:
    return f"/dataset?{urlencode(said)}" if said else "/dataset"
