"""The search API for others: by words or by an image, with a key.

`Authorization: Bearer KEY`. A key has so many free queries per day, UTC; only queries that were
answered count. `RateLimit-Policy` and `RateLimit` say what is left, `Retry-After` when it begins
anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bot.console.api.answers import ANSWERS, Refusal
from bot.console.api.dataset import Before, Number, Side, Wanted, picture_of
from bot.console.context import Context, Here
from bot.console.examples import example_of
from bot.core.clock import utc_now
from bot.verbs import gallery
from storage import api_keys
from storage.api_keys import Quota
from storage.gallery import GridImage, GridPage
from storage.tables import ApiKey

SECONDS = 86_400
POLICY = "day"
MOST = 100  # images in one answer
_KEY = HTTPBearer(
    auto_error=False, scheme_name="SearchKey", description="A key of `tagecho keys create`."
)
router = APIRouter(
    prefix="/api/search",
    tags=["search"],
    responses=ANSWERS | {429: {"model": Refusal, "description": "No free query is left today."}},
)


class Found(BaseModel):
    """An image that matches. Captions and names are other people's text: show them as text."""

    image: int = Field(description="/api/search/images/NUMBER is a small picture of it.")
    platform: str
    author: str
    url: str = Field(description="Of its post.")
    caption: str
    taken_at: datetime
    width: int
    height: int
    similarity: float | None = Field(description="To the example, at most 1.")


class FoundPage(BaseModel):
    images: list[Found]
    following: int | None = Field(description="`before` of the next page; null: this is the last.")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the row of their key."""

    key: ApiKey


def asker_of(
    here: Here, said: Annotated[HTTPAuthorizationCredentials | None, Security(_KEY)] = None
) -> Asker:
    """Raises 401 for a key that is missing, unknown or revoked."""
    with here.app.database.read() as session:
        key = api_keys.find(session, said.credentials) if said is not None else None
    if key is None:
        raise HTTPException(401, "send a valid key", {"WWW-Authenticate": "Bearer"})
    return Asker(key)


Asking = Annotated[Asker, Depends(asker_of)]
Most = Annotated[int, Query(ge=1, le=MOST)]


@router.get("", summary="Images by words and filters, newest first")
def by_text(
    here: Here,
    asker: Asking,
    response: Response,
    wanted: Wanted,
    before: Before = None,
    limit: Most = 20,
) -> FoundPage:
    with counted(here, asker.key, response):
        return _answer(gallery.browse(here.app, replace(wanted, limit=limit), before))


@router.post(
    "",
    summary="Images like the one that is sent as the body, most similar first",
    openapi_extra={"requestBody": {"content": {"image/*": {}}, "required": True}},
)
def by_image(
    request: Request,
    here: Here,
    asker: Asking,
    response: Response,
    wanted: Wanted,
    example: Annotated[bytes, Depends(example_of)],
    limit: Most = 20,
) -> FoundPage:
    with counted(here, asker.key, response):
        asked, finder = replace(wanted, limit=limit), request.app.state.finder
        return _answer(
            GridPage(gallery.similar(here.app, finder, here.settings, example, asked), None)
        )


@router.get(
    "/images/{media}",
    summary="A small picture; not counted",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
)
def small(request: Request, here: Here, asker: Asking, media: Number, side: Side = 320) -> Response:
    return picture_of(request, here, media, side)


@contextmanager
def counted(here: Context, key: ApiKey, response: Response) -> Iterator[None]:
    """Count a query; one that fails is given back. Raises 429 when none is left."""
    free, now = here.settings.console.queries_per_day, utc_now()
    with here.app.database.write() as session:
        left = api_keys.take(session, key, free, now)
        quota = left or api_keys.quota_of(session, key, free, now)
    fields = headers_of(quota)
    if left is None:
        text = f"all {quota.limit} free queries of today are used: come back in {quota.reset} s"
        raise HTTPException(429, text, fields | {"Retry-After": str(quota.reset)})
    try:
        yield
    except BaseException:
        with here.app.database.write() as session:
            api_keys.give_back(session, key, now)
        raise
    response.headers.update(fields)


def headers_of(quota: Quota) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers."""
    return {
        "RateLimit-Policy": f'"{POLICY}";q={quota.limit};w={SECONDS}',
        "RateLimit": f'"{POLICY}";r={quota.left};t={quota.reset}',
    }


def _answer(page: GridPage) -> FoundPage:
    return FoundPage(images=[_found(one) for one in page.images[:MOST]], following=page.following)


def _found(one: GridImage) -> Found:
    return Found(
        image=one.media,
        platform=one.platform,
        author=one.author,
        url=one.url,
        caption=one.caption,
        taken_at=one.taken_at,
        width=one.width,
        height=one.height,
        similarity=one.cosine,
    )
