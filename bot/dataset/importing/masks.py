"""Masks that other tools wrote: COCO files, folders of PNGs, and our own exports.

All of it may be hostile: sizes are bounded before anything is made of them, no path leads out of
the folder, and what is wrong with one mask stops no other. Each mask says which image it is of by
the SHA-256 of its bytes, which stands in the file, is its name, or is that of the photo beside
it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw

from bot.core.errors import UsageError
from models.base import ImageRejected, Mask
from models.images.decoder import decode

LARGEST = 256_000_000  # bytes of a JSON file
POINTS = 100_000  # of one image's polygons
FAR = 1_000_000.0  # px; a corner beyond is no corner
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ForeignMask:
    """A mask in a file. `read` makes its pixels, (H, W), and raises UsageError."""

    name: str
    image: str  # SHA-256 of its image; "" where nothing says it
    read: Callable[[], Mask]


@dataclass(frozen=True, slots=True)
class Bounds:
    pixels: int  # of a mask
    bytes: int  # of a photo or PNG


def foreign_masks(path: Path, photos: Path | None, bounds: Bounds) -> Iterator[ForeignMask]:
    """`path`: a COCO file, a folder of PNGs, one with photos/ and labels/, or an export of ours.

    `photos`: where the images lie, if neither names nor files say which they are. Raises UsageError
    for what is none of these.
    """
    if path.is_file():
        yield from _coco(path, photos, bounds)
    elif (path / "records.jsonl").is_file():
        yield from _export(path, bounds)
    elif (path / "labels").is_dir():
        yield from _pngs(path / "labels", photos or path / "photos", bounds)
    elif path.is_dir():
        yield from _pngs(path, photos, bounds)
    else:
        raise UsageError(f"{path}: there is no such file or folder")


def _pngs(folder: Path, photos: Path | None, bounds: Bounds) -> Iterator[ForeignMask]:
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() == ".png")
    if not files:
        raise UsageError(f"{folder}: there is no PNG in it")
    for file in files:
        image = file.stem if _SHA256.fullmatch(file.stem) else _beside(photos, file.stem, bounds)
        yield ForeignMask(file.name, image, lambda file=file: _png(file, bounds))  # type: ignore[misc]


def _export(folder: Path, bounds: Bounds) -> Iterator[ForeignMask]:
    """An export of ours: its records name mask and image."""
    for number, line in enumerate(_text(folder / "records.jsonl").splitlines(), start=1):
        row = _json(line, f"{folder / 'records.jsonl'}:{number}")
        row = row if isinstance(row, dict) else {}
        name, image = row.get("mask_file_name"), row.get("source_sha256")
        if isinstance(name, str) and (file := _within(folder, name)):
            yield ForeignMask(
                name,
                image if isinstance(image, str) else "",
                lambda file=file: _png(file, bounds),  # type: ignore[misc]
            )


def _coco(path: Path, photos: Path | None, bounds: Bounds) -> Iterator[ForeignMask]:
    said = _json(_text(path), str(path))
    parts = [
        said.get(name) if isinstance(said, dict) else None for name in ("images", "annotations")
    ]
    if not all(isinstance(part, list) for part in parts):
        raise UsageError(f"{path}: is no COCO file: it needs the lists images and annotations")
    shapes: dict[Any, list[Any]] = {}
    for one in parts[1] or []:
        if isinstance(one, dict) and isinstance(one.get("image_id"), int | str):
            shapes.setdefault(one["image_id"], []).append(one.get("segmentation"))
    for one in parts[0] or []:
        if not isinstance(one, dict) or not isinstance(one.get("id"), int | str):
            continue
        name = str(one.get("file_name") or one["id"])
        found = shapes.get(one["id"])
        if found is None:
            continue  # nothing was said of this image
        yield ForeignMask(
            name,
            _image_of(one, name, photos, bounds),
            lambda one=one, found=found: _drawn(one, found, bounds),  # type: ignore[misc]
        )


def _image_of(one: dict[str, Any], name: str, photos: Path | None, bounds: Bounds) -> str:
    for key in ("source_sha256", "sha256"):
        if isinstance(one.get(key), str) and _SHA256.fullmatch(one[key]):
            return str(one[key])
    stem = Path(name).stem
    if _SHA256.fullmatch(stem):
        return stem
    file = _within(photos, name) if photos else None
    return _hash(file, bounds) if file else _beside(photos, stem, bounds)


def _drawn(image: dict[str, Any], shapes: list[Any], bounds: Bounds) -> Mask:
    """All that was drawn in an image, as one mask."""
    width, height = image.get("width"), image.get("height")
    if not (_is_size(width) and _is_size(height)) or width * height > bounds.pixels:  # type: ignore[operator]
        raise UsageError(f"its size {width!r} × {height!r} is none, or too large")
    mask: Mask = np.zeros((height, width), np.bool_)  # type: ignore[arg-type]
    for shape in shapes:
        one: Mask = (
            mask_of_runs(shape, mask.shape)
            if isinstance(shape, dict)
            else _outline(shape, mask.shape)
        )
        np.logical_or(mask, one, out=mask)
    return mask


def _outline(shape: Any, size: tuple[int, ...]) -> Mask:
    """Polygons: lists of x, y, x, y …; what lies outside of the image is cut off."""
    if (
        not isinstance(shape, list)
        or sum(len(p) for p in shape if isinstance(p, list)) > 2 * POINTS
    ):
        raise UsageError("its segmentation is neither runs nor polygons, or has too many corners")
    canvas = PIL.Image.new("1", (size[1], size[0]))
    pen = PIL.ImageDraw.Draw(canvas)
    for polygon in shape:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise UsageError("a polygon needs pairs of numbers for at least three corners")
        if not all(_is_number(value) for value in polygon):
            raise UsageError("a corner of a polygon is no number, or far outside")
        corners = [(x - 0.5, y - 0.5) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
        pen.polygon(corners, fill=1)
    return np.array(canvas, np.bool_)


def mask_of_runs(shape: dict[str, Any], size: tuple[int, ...]) -> Mask:
    """Run lengths, column by column, from what is outside on; as numbers or as COCO's text.

    `size`: (height, width) of the image. Raises UsageError for runs of another size.
    """
    counts = shape.get("counts")
    if shape.get("size") != list(size):
        raise UsageError(f"its runs are for {shape.get('size')}, the image is {list(size)}")
    if isinstance(counts, str):
        counts = _untexted(counts)
    if not isinstance(counts, list) or not all(type(one) is int and one >= 0 for one in counts):
        raise UsageError("its runs are no list of lengths")
    if sum(counts) != size[0] * size[1]:
        raise UsageError("its runs do not fill the image")
    inside = np.asarray(np.arange(len(counts)) % 2 == 1, np.bool_)
    found: Mask = np.repeat(inside, counts).reshape(size[1], size[0]).T
    return found


def _untexted(text: str) -> list[int]:
    """The inverse of cocoapi's `rleToString`: 5 bits a character, and differences from the fourth
    on."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise UsageError("its runs are no text of COCO")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def _png(file: Path, bounds: Bounds) -> Mask:
    """Whatever is not black is object, as in the sets of `tagecho models evaluate`."""
    try:
        pixels = decode(_bytes(file, bounds), max_pixels=bounds.pixels, min_side=1).pixels
    except ImageRejected as error:
        raise UsageError(f"cannot be read: {error}") from error
    found: Mask = np.asarray(pixels.any(axis=2), np.bool_)
    return found


def _beside(photos: Path | None, stem: str, bounds: Bounds) -> str:
    """The SHA-256 of the photo of this name; "" without one."""
    for suffix in SUFFIXES if photos else ():
        if photos and (file := _within(photos, stem + suffix)):
            return _hash(file, bounds)
    return ""


def _hash(file: Path, bounds: Bounds) -> str:
    return hashlib.sha256(_bytes(file, bounds)).hexdigest()


def _within(folder: Path, name: str) -> Path | None:
    """A file below the folder; None for any other, and for one that is not there."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _bytes(file: Path, bounds: Bounds) -> bytes:
    try:
        if file.stat().st_size > bounds.bytes:
            raise UsageError(f"{file} has more than {bounds.bytes} bytes")
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _text(file: Path) -> str:
    try:
        return _bytes(file, Bounds(0, LARGEST)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is no text in UTF-8") from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: is no JSON: {error}") from error


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value <= 100_000


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= FAR
