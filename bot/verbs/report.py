"""The replies as one static page: original, mask and reply image side by side."""

from __future__ import annotations

import io
import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO

import jinja2
import numpy as np
import PIL.Image

from bot.core.errors import StorageError
from bot.verbs.pages import by_count, data_uri, page_at, template
from models.base import Image, ImageRejected
from models.images import codec, decoder

THUMBNAIL = 540  # px, the longer side, where there are few
SMALLEST = 80
QUALITY = 45  # of small ones
FEW = 14  # replies whose pictures are large; of more, all pictures together are no larger


def side_for(count: int) -> int:
    """The longer side of the pictures on a page of so many replies, in px.

    As many pixels in all, however many there are, down to what can still be told apart.
    """
    return max(SMALLEST, min(THUMBNAIL, round(THUMBNAIL * math.sqrt(FEW / max(1, count)))))


@dataclass(frozen=True, slots=True)
class StateChange:
    """One change of a reply's state."""

    at: datetime  # aware
    state: str
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """One reply on the page. Times are aware; images have any format that we can decode."""

    reply_id: str
    state: str
    post_url: str
    author: str  # user name
    created_at: datetime
    caption: str = ""
    style: str = ""
    mode: str = ""
    trigger: str = ""
    taken_at: datetime | None = None  # of the source post
    published_at: datetime | None = None
    published_url: str = ""
    reason: str = ""  # why it failed, was rejected, or waits
    before: bytes | None = None
    mask: bytes | None = None
    after: bytes | None = None
    history: tuple[StateChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportPicture:
    """One image of a row, ready to embed; `src` is empty if there is no image."""

    label: str
    alt: str
    src: str = ""
    width: int = 0
    height: int = 0
    missing: str = "none yet"


def write_page(
    path: Path,
    rows: Iterable[ReplyRow],
    title: str,
    *,
    total: int | None = None,
    side: int = THUMBNAIL,
) -> None:
    """Write the page completely or not at all; only its owner can read it.

    `total`: how many replies there are, if more than are shown; `side`: the longer side of a
    picture, in px.

    Rows are read one by one, so a long log needs no more memory than a short one. Raises
    StorageError if the file cannot be written.
    """
    page = _template().module
    counts: Counter[str] = Counter()
    try:
        with _scratch() as body, page_at(path) as out:
            for row in rows:
                counts[row.state] += 1
                body.write(page.reply(row, _pictures(row, side)))  # type: ignore[attr-defined]
            body.seek(0)
            out.write(page.top(title, datetime.now(UTC), by_count(counts), total or 0))  # type: ignore[attr-defined]
            shutil.copyfileobj(body, out)
            out.write(page.bottom())  # type: ignore[attr-defined]
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


@cache
def _template() -> jinja2.Template:
    return template("replies.html", clock=_clock, slug=_slug)


def _pictures(row: ReplyRow, side: int) -> list[ReportPicture]:
    return [
        _picture("Before", f"Original photo by @{row.author}", row.before, side),
        _picture("Mask", "Mask: white where the main object was found", row.mask, side),
        _picture("After", f"Reply image in the style {row.style or 'unknown'}", row.after, side),
    ]


def _picture(label: str, alt: str, data: bytes | None, side: int) -> ReportPicture:
    if data is None:
        return ReportPicture(label, alt)
    try:
        decoded = decoder.decode(data, min_side=1, shrink_to=side)
    except ImageRejected as error:
        return ReportPicture(label, alt, missing=error.reason)
    small = _thumbnail(decoded.pixels, side)
    if label == "Mask":
        if not decoded.pixels.any():
            return ReportPicture(label, alt, missing="no object was found in it")
        source = data_uri("png", codec.png_mask(small[..., 0] >= 128))
    elif side == THUMBNAIL:
        source = data_uri("jpeg", codec.encode_jpeg(small, description="", quality=82))
    else:
        source = data_uri("webp", _tiny(small))
    return ReportPicture(label, alt, source, small.shape[1], small.shape[0])


def _thumbnail(image: Image, side: int) -> Image:
    layer = PIL.Image.fromarray(image)
    layer.thumbnail((side, side))
    return np.array(layer)


def _tiny(image: Image) -> bytes:
    """Without the metadata, which would be larger than such a picture."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _slug(state: str) -> str:
    """A state as part of a CSS name."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in state.lower())
