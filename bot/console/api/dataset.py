"""The collected images: browse, search by text or example, one post, a person's word on them."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from bot.console.access.actions import note
from bot.console.access.roles import Asks, reads
from bot.console.api.answers import ANSWERS
from bot.console.context import Context, Here
from bot.console.examples import example_of
from bot.console.thumbnails import kept_thumbnail
from bot.core.csv_text import csv_lines
from bot.core.errors import UsageError
from bot.verbs import caption, gallery
from bot.verbs.caption import MOST_SENTENCE
from bot.verbs.search import SearchQuery
from models.base import ImageRejected
from storage.checks import Check
from storage.gallery import GridImage, GridPage, PostDetails, stored_hash

router = APIRouter(prefix="/api", tags=["dataset"], responses=ANSWERS)
LARGEST = 2**63 - 1  # of a row's number
MOST = 500  # images in one request
PAGE = 60
FOREVER = "private, max-age=31536000, immutable"  # an address with its hash never shows another
IMAGE = tuple(GridImage.__dataclass_fields__)  # the columns of a list of images

Number = Annotated[int, Path(ge=1, le=LARGEST)]
Before = Annotated[int | None, Query(ge=0, le=LARGEST, description="`following` of a page.")]
Most = Annotated[int, Query(ge=1, le=MOST)]
Side = Annotated[int, Query(ge=32, le=1600, description="The longer side of the picture, in px.")]


class ShownImage(BaseModel):
    """A stored image. Captions and names are other people's text: show them as text."""

    media: int
    post: int
    index: int = Field(description="Its place in the post, from 0.")
    sha256: str
    width: int
    height: int
    platform: str
    author: str
    url: str
    caption: str = Field(description="Its beginning.")
    taken_at: datetime
    deleted_at: datetime | None
    verdicts: dict[str, str] = Field(description="Check → why it did not pass.")
    label: str = Field(description="What a person said: accepted, rejected, or nothing.")
    cosine: float | None = Field(description="How similar it is to the example.")


class ImagePage(BaseModel):
    images: list[ShownImage]
    following: int | None = Field(description="`before` of the next page; null: this is the last.")


class SaidOfImages(BaseModel):
    """A word on images; null takes it back."""

    images: Annotated[list[int], Field(min_length=1, max_length=MOST)]
    accepted: bool | None
    why: Annotated[str, Field(max_length=500)] = ""


class SaidOfHashtag(BaseModel):
    """Whether the hashtag fits the post; null takes the word back."""

    hashtag: Annotated[str, Field(min_length=1, max_length=400)]
    fits: bool | None


class SaidInWords(BaseModel):
    """The sentence and tags of an image are accepted; false: what a person said is taken back."""

    accepted: bool
    sentence: Annotated[str | None, Field(max_length=MOST_SENTENCE)] = Field(
        default=None, description="In place of the given one."
    )
    tags: Annotated[list[str] | None, Field(max_length=100)] = Field(
        default=None, description="In place of the given ones."
    )
    language: Annotated[str, Field(max_length=20)] = Field(
        default="", description="Of the sentence, as in en or pt-BR."
    )


class Done(BaseModel):
    done: bool = True


def _given(value: Any) -> Any:
    """An empty field of a form says nothing."""
    if isinstance(value, list):
        return [one for one in value if one != ""]
    return None if value == "" else value


Given = BeforeValidator(_given)
Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=1, le=100_000)]


def _shown_by(
    text: Annotated[str, Query(max_length=500, description="As `tagecho search` takes it.")] = "",
    hashtag: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
    author: Annotated[str, Query(max_length=200)] = "",
    platform: Annotated[str, Query(max_length=50)] = "",
    dataset: Annotated[str, Query(max_length=200)] = "",
    since: Annotated[date | None, Query(), Given] = None,
    until: Annotated[date | None, Given, Query(description="Before this day, UTC.")] = None,
) -> dict[str, Any]:
    """What a post shows by itself."""
    return {
        "text": text,
        "hashtags": tuple(tag for tag in hashtag if tag.strip("# ")),
        "author": author.strip(),
        "platform": platform.strip().lower(),
        "dataset": dataset.strip(),
        "since": _moment(since),
        "until": _moment(until),
    }


def _judged_as(
    fit: Annotated[Share | None, Given, Query()] = None,
    doubt: Annotated[
        Share | None, Given, Query(description="A hashtag fits at most so probably.")
    ] = None,
    size: Annotated[Pixels | None, Given, Query()] = None,
    check: Annotated[list[Check], Given, Query(max_length=20)] = [],  # noqa: B006
    label: Annotated[Literal["", "accepted", "rejected", "unlabelled"], Query()] = "",
    clean: Annotated[bool, Query(description="Only images without any verdict.")] = False,
) -> dict[str, Any]:
    """What was measured, computed or said by people."""
    checks = tuple(map(str, check))
    judged = {"fit": fit, "doubt": doubt, "size": size}
    return judged | {"checks": checks, "label": label, "clean": clean}


def wanted_of(
    shown: Annotated[dict[str, Any], Depends(_shown_by)],
    judged: Annotated[dict[str, Any], Depends(_judged_as)],
) -> SearchQuery:
    """The filters of `tagecho search`, with verdicts, labels and doubt."""
    return SearchQuery(**shown, **judged)


Wanted = Annotated[SearchQuery, Depends(wanted_of)]


@router.get("/images", summary="Stored images that match, newest first, page by page")
def images(here: Here, wanted: Wanted, before: Before = None, limit: Most = PAGE) -> ImagePage:
    return shown(gallery.browse(here.app, replace(wanted, limit=limit), before))


@router.get(
    "/images.csv",
    summary=f"The same as CSV: the {gallery.EXPORTED:,} newest",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def images_csv(here: Here, wanted: Wanted) -> StreamingResponse:
    gallery.browse(here.app, replace(wanted, limit=1))  # a mistake is told before the first line
    return StreamingResponse(
        csv_lines(IMAGE, map(_columns, gallery.everything(here.app, wanted))),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="images.csv"'},
    )


@router.get("/images.json", summary=f"The same as one list: the {gallery.EXPORTED:,} newest")
def images_json(here: Here, wanted: Wanted) -> list[ShownImage]:
    return [ShownImage(**asdict(one)) for one in gallery.everything(here.app, wanted)]


@router.get("/images/{media}/alike", summary="Images like a stored one, most similar first")
def alike(
    request: Request, here: Here, media: Number, wanted: Wanted, limit: Most = PAGE
) -> ImagePage:
    asked = replace(wanted, limit=limit)
    found = gallery.similar(here.app, request.app.state.finder, here.settings, media, asked)
    return shown(GridPage(found, None))


@router.post(
    "/images/alike",
    summary="Images like the one that is sent as the body, most similar first",
    openapi_extra={"requestBody": {"content": {"image/*": {}}, "required": True}},
)
@reads
def alike_upload(
    request: Request,
    here: Here,
    example: Annotated[bytes, Depends(example_of)],
    wanted: Wanted,
    limit: Most = PAGE,
) -> ImagePage:
    asked = replace(wanted, limit=limit)
    found = gallery.similar(here.app, request.app.state.finder, here.settings, example, asked)
    return shown(GridPage(found, None))


@router.get(
    "/images/{media}/picture",
    summary="A stored image, reduced to a side",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
)
def picture(request: Request, here: Here, media: Number, side: Side = 320) -> Response:
    return picture_of(request, here, media, side)


@router.post("/images/label", summary="Accept or reject images, or take the word back")
def label_images(here: Here, person: Asks, said: SaidOfImages) -> Done:
    gallery.label_images(here.app, said.images, said.accepted, person.name, said.why)
    note(here, person, f"image {gallery.WORDS[said.accepted]}", ", ".join(map(str, said.images)))
    return Done()


@router.post("/images/{media}/words", summary="Accept or write the sentence and tags of an image")
def say_words(here: Here, person: Asks, media: Number, said: SaidInWords) -> Done:
    if said.accepted:
        caption.say(here.app, media, said.sentence, said.tags, said.language, person.name)
    else:
        caption.unsay(here.app, media)
    note(here, person, "words accept" if said.accepted else "words undo", f"image {media}")
    return Done()


@router.post("/posts/{post}/hashtags", summary="Say whether a hashtag fits its post")
def label_hashtag(here: Here, person: Asks, post: Number, said: SaidOfHashtag) -> Done:
    gallery.label_hashtags(here.app, post, [said.hashtag], said.fits, person.name)
    target = f"#{said.hashtag.lstrip('#')} of post {post}"
    note(here, person, f"hashtag {gallery.WORDS[said.fits]}", target)
    return Done()


@router.get("/posts/{post}", summary="All that is known of a post")
def post(here: Here, post: Number) -> dict[str, Any]:
    return as_json(details(here, post))


def details(here: Context, number: int) -> PostDetails:
    """Raises 404."""
    try:
        return gallery.post(here.app, number)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None


def picture_of(request: Request, here: Context, media: int, side: int) -> Response:
    """A reduced picture. Raises 404 where there is none."""
    with here.app.database.read() as session:
        sha256 = stored_hash(session, media)
    if sha256 is None or not here.app.originals.path(sha256).exists():
        raise HTTPException(404, f"there is no stored image {media}")
    try:
        body = kept_thumbnail(here.app, request.app.state.thumbnails, sha256, side)
    except ImageRejected as error:
        raise HTTPException(404, f"the picture cannot be shown: {error.reason}") from None
    headers = {"Cache-Control": FOREVER if "v" in request.query_params else "private, no-cache"}
    return Response(body, media_type="image/webp", headers=headers)


def shown(page: GridPage) -> ImagePage:
    found = [ShownImage(**asdict(one)) for one in page.images]
    return ImagePage(images=found, following=page.following)


def as_json(found: PostDetails) -> dict[str, Any]:
    """Rows of tables become objects; what the platform sent raw stays with us."""
    known = {
        "post": found.row.model_dump(exclude={"raw", "content_hash"}),
        "caption": found.caption,
        "place": found.place,
        "author": found.author.model_dump() if found.author else None,
        "images": [
            asdict(replace(one, label=None))
            | {"label": one.label.model_dump() if one.label else None}
            for one in found.images
        ],
        "missing": [row.model_dump() for row in found.missing],
        "hashtags": [
            asdict(replace(one, label=None))
            | {"label": one.label.model_dump() if one.label else None}
            for one in found.hashtags
        ],
        "comments": found.comments,
    }
    for name in ("mentions", "tracks", "edits"):
        known[name] = [row.model_dump() for row in getattr(found, name)]
    return known


def _columns(image: GridImage) -> dict[str, Any]:
    return {name: getattr(image, name) for name in IMAGE}


def _moment(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
