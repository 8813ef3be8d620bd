"""The images of an export, made from the rows of a snapshot."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import PIL.Image
from sqlmodel import select

from bot.core.errors import StorageError
from bot.core.normal_form import hashtag
from bot.dataset.export.fields import ALWAYS, MASKS, OBJECTS, Field, said
from bot.dataset.export.masks import Drawn, Masks
from bot.dataset.export.objects import ImageObjects, Objects
from bot.service.app import App
from models.base import ImageRejected, Mask
from models.images.codec import Decoded, encode_png, png_mask
from models.images.decoder import decode
from models.images.opacity import straight
from storage import snapshots
from storage.tables import OptOut, Snapshot, SnapshotItem

QUALITY = 92


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which image files a format may hold; all others are drawn anew."""

    kept: frozenset[str]  # suffixes
    other: str = ".png"  # what they become
    one: bool = False  # whether all images must be of one kind

    def of(self, suffixes: Collection[str]) -> Kinds:
        """For a snapshot that has files of these suffixes; of one kind, where only one may be."""
        if not self.one:
            return self
        same = len(suffixes) == 1 and self.kept.issuperset(suffixes)
        return replace(self, kept=frozenset(suffixes if same else {self.other}))

    def target(self, suffix: str, *, turned: bool) -> str | None:
        """What a file of this suffix is drawn anew as; None: it stays. `turned`: not all readers
        heed an orientation in EXIF, and masks are of the upright image."""
        if suffix in self.kept and not turned:
            return None
        return suffix if suffix in self.kept & {".jpg", ".png"} else self.other


_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
ANY = Kinds(frozenset({*_SUFFIXES.values(), ".avif", ".bmp", ".bin"}))
STILL = Kinds(frozenset({".jpg", ".png", ".webp", ".bmp"}))  # what OpenCV reads, everywhere
UNIFORM = Kinds(frozenset({".jpg", ".png", ".webp"}), other=".jpg", one=True)
OBJECT = "object"  # the class of a main object of which no hashtag says what it is


@dataclass(frozen=True, slots=True)
class Plan:
    """What one export contains; the same for every format."""

    dataset: str
    snapshot: str
    manifest_sha256: str
    facts: dict[str, Any]
    created: str  # of the snapshot, ISO; an export has no date, so that equal exports are equal
    fields: tuple[Field, ...]
    classes: tuple[str, ...]  # hashtags that may name a main object
    masks: bool
    size: int | None
    kinds: Kinds
    objects: str = ""  # the recipe whose objects are written, in place of the main one

    @property
    def columns(self) -> tuple[Field, ...]:
        more = (*(MASKS if self.masks else ()), *(OBJECTS if self.objects else ()))
        return (*ALWAYS, *self.fields, *more)

    @property
    def suffix(self) -> str:
        """Of all images, in a format that has one kind."""
        return ".jpg" if self.size is not None else min(self.kinds.kept)

    @property
    def names(self) -> tuple[str, ...]:
        """Classes of objects; the last is for objects without a class."""
        return (*(name for name in self.classes if name != OBJECT), OBJECT)


@dataclass(frozen=True, slots=True)
class Example:
    """One image, ready to write."""

    stem: str  # its file's name without suffix; the same in every export of the snapshot
    suffix: str
    split: str
    data: bytes
    width: int
    height: int
    values: dict[str, Any]  # of Plan.columns, without the file names
    found: Drawn | None  # the main object, at the image's size
    category: int  # index into Plan.names of the main object
    objects: ImageObjects | None = None  # None: the main object is written

    @property
    def mask(self) -> Mask | None:
        """(height, width); None: no mask, or an empty one."""
        return self.found.mask if self.found is not None and self.found.mask.any() else None

    @property
    def drawn(self) -> Drawn:
        """The mask; all False if there is none, because some readers need one for every image."""
        if self.found is not None:
            return self.found
        empty = np.zeros((self.height, self.width), dtype=np.bool_)
        return Drawn(empty, png_mask(empty), "")

    @property
    def file(self) -> str:
        return self.stem + self.suffix


class Examples:
    """Reads a snapshot with one image in memory at a time, and counts what it skips."""

    def __init__(self, app: App, snapshot: Snapshot, plan: Plan, masks: Masks) -> None:
        self._app = app
        self._snapshot = snapshot
        self._plan = plan
        self._masks = masks
        self._objects = Objects(app, plan.objects, plan.names) if plan.objects else None
        self.forgotten = 0

    def __iter__(self) -> Iterator[Example]:
        with self._app.database.read() as session:
            gone = set(session.exec(select(OptOut.digest)))
        for item in snapshots.items(self._app.database, self._snapshot.id or 0):
            if snapshots.forgotten(item) or (gone and self._digest(item) in gone):
                self.forgotten += 1
            else:
                yield self._example(item)

    def _digest(self, item: SnapshotItem) -> str:
        return self._app.optouts.digest(item.record["platform"], item.record["user_id"])

    def _example(self, item: SnapshotItem) -> Example:
        record, plan = item.record, self._plan
        original = self._app.originals.get(item.sha256)
        data, width, height = original, record["width"], record["height"]
        suffix = _suffix(original, record["mime"])
        if plan.size is not None:
            data, width, height = self._smaller(original, item.sha256, plan.size)
            suffix = ".jpg"
        elif target := plan.kinds.target(suffix, turned=_turned(record)):
            data, suffix = self._drawn(original, item.sha256, target), target
        found = self._masks.of(item.sha256, record["mask"], original) if plan.masks else None
        found = found.fitted(width, height) if found else None
        values = {
            "id": f"{plan.dataset}/{plan.snapshot}/{item.seq}",
            "split": item.split,
            "width": width,
            "height": height,
            "sha256": hashlib.sha256(data).hexdigest() if data is not original else item.sha256,
            "source_sha256": item.sha256,
            **said(record, plan.fields),
        }
        if plan.masks:
            values["mask_model"] = found.version if found else None
        objects = None
        if self._objects is not None:
            size = record["width"], record["height"]
            objects = self._objects.of(item.sha256, size, (width, height))
            values |= objects.values(plan.names)
        return Example(
            stem=f"{item.seq:08d}",
            suffix=suffix,
            split=item.split,
            data=data,
            width=width,
            height=height,
            values=values,
            found=found,
            category=_category(record["hashtags"], plan.names),
            objects=objects,
        )

    def _smaller(self, original: bytes, sha256: str, longest: int) -> tuple[bytes, int, int]:
        """At most so many pixels on the longer side, sRGB, upright, without any metadata."""
        image = PIL.Image.fromarray(self._decoded(original, sha256, longest).pixels)
        image.thumbnail((longest, longest), PIL.Image.Resampling.LANCZOS)
        return _jpeg(image), image.width, image.height

    def _drawn(self, original: bytes, sha256: str, suffix: str) -> bytes:
        """Its first frame, upright, sRGB, without any metadata; a PNG keeps its opacity."""
        found = self._decoded(original, sha256)
        if suffix == ".png":
            if found.alpha is None:
                return encode_png(found.pixels)
            return encode_png(straight(found.pixels, found.alpha), found.alpha)
        return _jpeg(PIL.Image.fromarray(found.pixels))

    def _decoded(self, original: bytes, sha256: str, shrink_to: int | None = None) -> Decoded:
        limit = self._app.settings.limits.max_pixels
        try:
            return decode(original, max_pixels=limit, shrink_to=shrink_to)
        except ImageRejected as error:
            raise StorageError(f"image {sha256[:12]} cannot be read: {error}") from error


def _category(hashtags: list[list[Any]], names: tuple[str, ...]) -> int:
    """The class whose hashtag fits best; one that was never judged counts as undecided."""
    fits = {hashtag(tag): 0.5 if fit is None else fit for tag, fit in hashtags}
    candidates = [(-fits[name], i) for i, name in enumerate(names[:-1]) if name in fits]
    return min(candidates)[1] if candidates else len(names) - 1


def suffixes(app: App, snapshot: Snapshot) -> set[str]:
    """Of the originals in a snapshot; "" for one that has to be drawn anew."""
    found = set()
    for item in snapshots.items(app.database, snapshot.id or 0):
        if not snapshots.forgotten(item):
            suffix = _SUFFIXES.get(item.record["mime"], "")
            stays = suffix in (".jpg", ".png") or not _turned(item.record)
            found.add(suffix if stays else "")
    return found


def _turned(record: dict[str, Any]) -> bool:
    return "exif-rotated" in record["notes"].split()


def _jpeg(image: PIL.Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def _suffix(data: bytes, mime: str) -> str:
    if mime in _SUFFIXES:
        return _SUFFIXES[mime]
    return ".avif" if data[4:8] == b"ftyp" else ".bmp" if data[:2] == b"BM" else ".bin"
