"""Where watched pictures reappeared, drawn: both side by side, with what they have in common."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import PIL.Image
import PIL.ImageDraw

from bot.config import Settings
from bot.core.errors import StorageError
from bot.core.files import read_whole, replacing
from bot.service.app import App, opened
from bot.service.progress import progress
from bot.verbs.pages import data_uri, page_at, template
from models.base import ImageRejected
from models.images.decoder import decode
from storage.watching import Sighting

SIDE = 480  # px: the longer side of each half
GAP = 12
COLOUR = (255, 64, 0)


def write_pairs(settings: Settings, found: Sequence[Sighting], folder: Path) -> list[Path]:
    """A JPEG for each watched picture and image that shows it; one that is there stays.

    Only their owner can read them. Raises StorageError if one cannot be written.
    """
    written = []
    with opened(settings) as app:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for one in progress(_once(found), "pairs"):
                path = folder / f"{Path(one.picture.path).stem}--{one.match.sha256[:16]}.jpg"
                picture = None if path.exists() else pair(app, one)
                if picture is not None:
                    with replacing(path) as file:
                        file.write(picture)
                    written.append(path)
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror}") from error
    return written


def write_page(settings: Settings, found: Sequence[Sighting], path: Path) -> None:
    """All of them as one page of HTML that loads nothing. Raises StorageError."""
    page = template("watch.html").module
    try:
        with opened(settings) as app, page_at(path) as out:
            out.write(page.top("Where watched pictures reappeared"))  # type: ignore[attr-defined]
            for one in found:
                drawn = pair(app, one)
                source = data_uri("jpeg", drawn) if drawn else ""
                out.write(page.finding(one, Path(one.picture.path).name, source))  # type: ignore[attr-defined]
            out.write(page.bottom())  # type: ignore[attr-defined]
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def pair(app: App, one: Sighting) -> bytes | None:
    """The watched picture on the left and the image on the right, as JPEG. In each, the outline is
    that of the other one. None if one of both cannot be read any more."""
    try:
        data = read_whole(Path(one.picture.path)), app.originals.get(one.match.sha256)
    except (OSError, StorageError):
        return None
    most = app.settings.limits.max_pixels
    try:
        mine, theirs = (
            PIL.Image.fromarray(decode(some, max_pixels=most, shrink_to=SIDE).pixels)
            for some in data
        )
    except ImageRejected:
        return None
    halves = [_outlined(mine, one.match.shown), _outlined(theirs, one.match.outline)]
    wide, high = sum(half.width for half in halves) + GAP, max(half.height for half in halves)
    both = PIL.Image.new("RGB", (wide, high), "white")
    both.paste(halves[0], (0, 0))
    both.paste(halves[1], (halves[0].width + GAP, 0))
    file = io.BytesIO()
    both.save(file, "JPEG", quality=85)
    return file.getvalue()


def _outlined(image: PIL.Image.Image, corners: Sequence[Sequence[float]]) -> PIL.Image.Image:
    """`corners`: as shares of width and height; what lies outside is drawn along the border."""
    image.thumbnail((SIDE, SIDE))
    wide, high = image.width - 2, image.height - 2
    points = [(min(max(x, 0), 1) * wide, min(max(y, 0), 1) * high) for x, y in corners]
    PIL.ImageDraw.Draw(image).line([*points, points[0]], fill=COLOUR, width=3, joint="curve")
    return image


def _once(found: Sequence[Sighting]) -> list[Sighting]:
    """An image that several posts have is drawn once."""
    return list({(one.picture.id, one.match.sha256): one for one in found}.values())


def table(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Two lines for each finding."""
    for row in rows:
        ways = [word for word, is_so in (("the same file", row["same_bytes"]),
                                         ("mirrored", row["mirrored"])) if is_so]  # fmt: skip
        share = f"{float(str(row['covered'])):.0%} of it"
        ways.append(share)
        mark = "new " if row["new"] else "    "
        name = Path(str(row["picture"])).name
        yield f"{mark}{float(str(row['similarity'])):.2f}  {name}  {', '.join(ways)}"
        yield f"          @{row['author']}  {row['url']}"
