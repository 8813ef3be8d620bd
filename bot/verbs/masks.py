"""Masks that people draw: read, saved version after version, and which image is next."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, UsageError
from bot.dataset.importing.masks import Bounds, ForeignMask, foreign_masks
from bot.service.app import App, opened
from bot.verbs.replies import who_types
from models.base import ImageRejected, Mask
from models.images.codec import png_mask
from models.images.decoder import decode
from models.images.mask_sizes import redrawn, reduced, stretched
from storage import masks
from storage.masks import MaskOrigin, NewMask, StoredMask
from storage.tables import BlobRow, DrawnMask, MediaRow, MediaState

LEAST_SIDE = 256  # px, the longer side of a mask whose image is larger


@dataclass(frozen=True, slots=True)
class ImageMasks:
    """What is known of the mask of a stored image."""

    media: int
    post: int
    sha256: str  # of the image
    width: int
    height: int
    versions: list[DrawnMask]  # that people drew, the newest first
    computed: StoredMask | None  # what a network found: version 0


def masks_of(app: App, media: int) -> ImageMasks:
    """Raises UsageError when there is no such image."""
    with app.database.read() as session:
        row = session.get(MediaRow, media)
        if row is None or row.state != MediaState.STORED or row.sha256 is None:
            raise UsageError(f"there is no stored image {media}")
        return ImageMasks(
            media=media,
            post=row.post,
            sha256=row.sha256,
            width=row.width,
            height=row.height,
            versions=masks.versions(session, row.sha256),
            computed=masks.computed(session, [row.sha256]).get(row.sha256),
        )


def mask_png(app: App, media: int, version: int, size: tuple[int, int] | None = None) -> bytes:
    """8-bit grey PNG, 0 or 255; version 0 is that of a network. `size`: (width, height) that it is
    drawn on, no larger than the image. Raises UsageError, StorageError.
    """
    found = masks_of(app, media)
    data = _stored(app, found, version)
    if data is None:
        raise UsageError(f"image {media} has no mask of version {version}")
    if size is None:
        return data
    whole = stretched(_read(app, data), found.width, found.height)
    check_proportions(np.zeros(size[::-1], np.bool_), found.width, found.height)
    return png_mask(reduced(whole, *size))


def _stored(app: App, found: ImageMasks, version: int) -> bytes | None:
    known = {row.version: row.sha256 for row in found.versions}
    if found.computed is not None:
        known[0] = found.computed.sha256
    return app.artifacts.get(known[version]) if version in known else None


def _at_full_size(app: App, found: ImageMasks, mask: Mask, base: int) -> Mask:
    before = _stored(app, found, base)
    if before is None:
        return stretched(mask, found.width, found.height)
    return redrawn(mask, stretched(_read(app, before), found.width, found.height))


def _read(app: App, data: bytes) -> Mask:
    return read_mask(data, app.settings.limits.max_pixels) >= 128


def save(app: App, media: int, data: bytes, base: int | None, who: str) -> DrawnMask:
    """Keep a picture of the object in white as the next version; `base`: as `storage.masks.add`.

    One that is smaller than its image is kept at the image's size; where it says what `base` says,
    that stays as fine as it was. Raises UsageError for what is no such picture, or has other
    proportions; Overtaken.
    """
    found = masks_of(app, media)
    mask = _read(app, data)
    check_proportions(mask, found.width, found.height)
    if mask.shape != (found.height, found.width):
        mask = _at_full_size(app, found, mask, base or 0)
    return keep(app, found.sha256, mask, base, who, MaskOrigin.EDITOR)


def keep(
    app: App, source: str, mask: Mask, base: int | None, who: str, origin: MaskOrigin
) -> DrawnMask:
    """`mask`: (H, W). Raises Overtaken, UsageError if the image is gone, StorageError."""
    data = png_mask(mask)
    sha256 = app.artifacts.put(data)
    height, width = mask.shape
    coverage = round(float(mask.mean()), 6)
    new = NewMask(source, sha256, len(data), width, height, coverage, who, origin)
    try:
        with app.database.write() as session:
            return masks.add(session, new, base, utc_now())
    except UsageError:
        with app.database.read() as session:
            orphan = session.get(BlobRow, sha256) is None
        app.artifacts.remove([sha256] if orphan else [])
        raise


@dataclass(slots=True)
class ImportedMasks:
    imported: int = 0
    unchanged: int = 0  # the newest version is the same mask
    kept: int = 0  # a person drew one, and nobody asked to replace it
    problems: list[tuple[str, str]] = field(default_factory=list)  # name, why

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_masks(
    settings: Settings, path: Path, photos: Path | None, *, replace: bool = False
) -> ImportedMasks:
    """Each mask of `bot.dataset.importing.masks` as a new version of its image's.

    Raises UsageError for a file or folder that is none of masks, NothingToDo for an empty one.
    """
    done = ImportedMasks()
    bounds = Bounds(settings.limits.max_pixels, settings.limits.max_image_bytes)
    with opened(settings) as app:
        for one in foreign_masks(path, photos, bounds):
            try:
                _import_one(app, one, done, replace=replace)
            except UsageError as error:
                done.problems.append((one.name, str(error)))
    if not any((done.imported, done.unchanged, done.kept, done.problems)):
        raise NothingToDo(f"{path}: there is no mask in it")
    return done


def _import_one(app: App, one: ForeignMask, done: ImportedMasks, *, replace: bool) -> None:
    with app.database.read() as session:
        size = masks.size_of(session, one.image) if one.image else None
        newest = masks.newest_of(session, one.image) if size else None
    if size is None:
        raise UsageError("its image is not stored here" if one.image else "no image is named by it")
    mask = one.read()
    check_proportions(mask, *size)
    if newest is not None and newest.sha256 == hashlib.sha256(png_mask(mask)).hexdigest():
        done.unchanged += 1
    elif newest is not None and not replace:
        done.kept += 1
    else:
        keep(app, one.image, mask, None, who_types(), MaskOrigin.IMPORT)
        done.imported += 1


def next_unreviewed(app: App, after: int | None = None, dataset: str = "") -> int | None:
    """As `storage.masks.unreviewed`."""
    with app.database.read() as session:
        return masks.unreviewed(session, after, dataset)


def read_mask(data: bytes, max_pixels: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Somebody's picture of a mask, as grey: (H, W), the brightest of its colours. UsageError."""
    try:
        pixels = decode(data, max_pixels=max_pixels, min_side=1, declared=".png").pixels
    except ImageRejected as error:
        raise UsageError(f"this is no mask that can be used: {error}") from error
    grey: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = pixels.max(axis=2)
    return grey


def check_proportions(mask: Mask, width: int, height: int) -> None:
    """A mask may be smaller than its image, down to LEAST_SIDE. Raises UsageError."""
    high, wide = mask.shape
    same = abs(wide * height - high * width) <= max(width, height)  # the shorter side is rounded
    fine = max(wide, high) >= min(LEAST_SIDE, max(width, height))
    if not same or not fine or wide > width or high > height:
        raise UsageError(f"the mask has {wide} × {high} px, its image {width} × {height}")
