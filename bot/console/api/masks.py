"""Masks of images: every version, a new one, the next image that has none of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, status
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bot.console.access.actions import note
from bot.console.access.roles import Asks
from bot.console.api.answers import ANSWERS
from bot.console.api.dataset import LARGEST, Number
from bot.console.context import Context, Here
from bot.console.examples import example_of
from bot.core.errors import Overtaken, UsageError
from bot.verbs import masks
from bot.verbs.mask_suggestions import Suggester
from bot.verbs.masks import ImageMasks
from models.base import Prompt
from storage.tables import DrawnMask

router = APIRouter(prefix="/api", tags=["masks"], responses=ANSWERS)

Version = Annotated[int, Path(ge=0, le=2**31 - 1, description="0: what a network found.")]
Base = Annotated[
    int,
    Query(ge=0, le=2**31 - 1, description="The newest version that you saw; 0: none of a person."),
]
Drawn = Annotated[int | None, Query(ge=1, le=100_000, description="In px.")]
MOST_POINTS = 100
Coordinate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
PNG: dict[int | str, dict[str, object]] = {200: {"content": {"image/png": {}}}}


class MaskVersion(BaseModel):
    """A mask that a person drew. A newer version never changes an older one."""

    version: int
    who: str
    at: datetime
    origin: str = Field(description="editor or import.")
    width: int
    height: int
    coverage: float = Field(description="Share of the image that is object.")


class MaskHistory(BaseModel):
    """The masks of an image. The newest version counts; without one, that of the network."""

    media: int
    post: int
    width: int = Field(description="Of the image, upright, in px.")
    height: int
    versions: list[MaskVersion] = Field(description="The newest first.")
    computed: str | None = Field(description="The network whose mask is version 0.")


class ShownPoint(BaseModel):
    """In pixels of the image, from its upper left corner."""

    x: Coordinate
    y: Coordinate
    object: bool = Field(True, description="Whether it is on the object, or beside it.")


class Shown(BaseModel):
    """Points and a box that show an object."""

    points: Annotated[list[ShownPoint], Field(max_length=MOST_POINTS)] = []
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = Field(
        None, description="Left, top, right, bottom."
    )


class NextImage(BaseModel):
    media: int | None = Field(
        description="null: every image has a mask that a person drew or confirmed."
    )


@router.get("/images/{media}/masks", summary="The versions of an image's mask")
def history(here: Here, media: Number) -> MaskHistory:
    found = known(here, media)
    return MaskHistory(
        media=found.media,
        post=found.post,
        width=found.width,
        height=found.height,
        versions=[shown(row) for row in found.versions],
        computed=found.computed.version if found.computed else None,
    )


@router.get(
    "/images/{media}/masks/{version}",
    summary="A mask: grey, 255 is object",
    response_class=Response,
    responses=PNG,
)
def png(
    here: Here,
    media: Number,
    version: Version,
    width: Drawn = None,
    height: Drawn = None,
) -> Response:
    """`width` and `height`: the size of the picture that it is drawn on, if that is smaller."""
    known(here, media)
    size = (width, height) if width and height else None
    try:
        body = masks.mask_png(here.app, media, version, size)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None
    return Response(body, media_type="image/png", headers={"Cache-Control": "private, no-cache"})


@router.post(
    "/images/{media}/masks",
    summary="Save a picture, in which white is object, as the next version",
    status_code=status.HTTP_201_CREATED,
    openapi_extra={"requestBody": {"content": {"image/png": {}}, "required": True}},
)
def save(
    here: Here,
    person: Asks,
    media: Number,
    data: Annotated[bytes, Depends(example_of)],
    base: Base,
) -> MaskVersion:
    known(here, media)
    try:
        row = masks.save(here.app, media, data, base, person.name)
    except Overtaken as error:
        note(here, person, "mask save", f"image {media}", str(error))
        raise
    note(here, person, "mask save", f"image {media}, version {row.version}")
    return shown(row)


@router.post(
    "/images/{media}/masks/suggest",
    summary="A mask of what points and a box show; of the main object without any",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {}},
            "headers": {"Tagecho-Model": {"schema": {"type": "string"}}},
        },
    },
)
def suggest(request: Request, here: Here, media: Number, said: Shown) -> Response:
    """Nothing is saved. With segment-anything, where its pack is there; else by our network."""
    known(here, media)
    suggester: Suggester = request.app.state.suggester
    prompt = Prompt(
        tuple((one.x, one.y) for one in said.points if one.object),
        said.box,
        tuple((one.x, one.y) for one in said.points if not one.object),
    )
    found = suggester.suggest(here.settings, media, prompt)
    return Response(found.png, media_type="image/png", headers={"Tagecho-Model": found.by})


@router.get(
    "/masks/next", summary="The next image that has no mask that a person drew or confirmed"
)
def next_image(
    here: Here,
    after: Annotated[
        int | None, Query(ge=1, le=LARGEST, description="Older than this image; then the newest.")
    ] = None,
    dataset: Annotated[str, Query(max_length=200)] = "",
) -> NextImage:
    return NextImage(media=masks.next_unreviewed(here.app, after, dataset))


def known(here: Context, media: int) -> ImageMasks:
    """Raises 404."""
    try:
        return masks.masks_of(here.app, media)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None


def shown(row: DrawnMask) -> MaskVersion:
    return MaskVersion(**row.model_dump(include=set(MaskVersion.model_fields)))
