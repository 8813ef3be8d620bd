"""Evaluation sets on disk: photos with masks, photos with hashtags. Every error names its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

from bot.core.errors import NothingToDo, UsageError
from models.base import Image, ImageRejected, Mask
from models.images.decoder import decode
from models.labels.noise import SAY_NOTHING
from models.metrics.labelled import Labelled
from models.segment.evaluate import selection

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MODES = ("1", "L", "P", "I", "I;16")  # of a PNG whose values are classes


@dataclass(frozen=True, slots=True)
class TaggedPhoto:
    id: str
    author: str
    hashtag: str
    path: Path


class MaskSet:
    """A folder with `photos/ID.jpg` and `labels/ID.png` (nonzero: object).

    `chosen`: the ids for choosing thresholds, or all others. Raises UsageError if the folder
    has another form, NothingToDo if no image is left.
    """

    def __init__(self, folder: Path, *, chosen: bool, limit: int | None = None) -> None:
        self._labels = _by_id(folder / "labels", (".png",))
        self._photos = _by_id(folder / "photos", SUFFIXES)
        if not self._labels:
            raise NothingToDo(f"{folder / 'labels'}: no label images (ID.png)")
        _complete(folder, self._labels, self._photos, "label")
        ids = [name for name in self._labels if (name in selection()) == chosen]
        if not ids:
            which = "is" if chosen else "is not"
            raise NothingToDo(f"{folder}: no image whose id {which} on the selection list")
        self.ids = limited(ids, limit)

    def read(self, name: str) -> Labelled:
        """Raises UsageError when a file cannot be read or the two sizes differ."""
        image, mask = read_photo(self._photos[name]), _read_label(self._labels[name])
        if image.shape[:2] != mask.shape:
            raise UsageError(
                f"{self._labels[name]}: {mask.shape[1]}×{mask.shape[0]}, "
                f"its photo is {image.shape[1]}×{image.shape[0]}"
            )
        return Labelled(name, image, mask)


def tagged_photos(file: Path, limit: int | None = None) -> list[TaggedPhoto]:
    """Lines of id, author, hashtag; photos in `photos/` beside the file; empty hashtags dropped.

    Raises UsageError naming file and line, NothingToDo when no photo is left.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {_reason(error)}") from error
    rows = [_row(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    kept = {row["id"]: row for row in rows if row["hashtag"] not in SAY_NOTHING}
    if not kept:
        raise NothingToDo(f"{file}: no post with a usable hashtag")
    photos = _by_id(file.parent / "photos", SUFFIXES)
    _complete(file, kept, photos, "post")
    return [
        TaggedPhoto(name, kept[name]["author"], kept[name]["hashtag"], photos[name])
        for name in limited(list(kept), limit)
    ]


def limited(ids: list[str], limit: int | None) -> list[str]:
    """`limit` of them, chosen by a hash: the same ones every time, in their order."""
    if limit is None or limit >= len(ids):
        return ids
    first = sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())[:limit]
    chosen = set(first)
    return [name for name in ids if name in chosen]


def read_photo(path: Path) -> Image:
    """Raises UsageError."""
    try:
        return decode(path.read_bytes()).pixels
    except (ImageRejected, OSError) as error:
        raise UsageError(f"{path}: {_reason(error)}") from error


def _read_label(path: Path) -> Mask:
    try:
        with Pil.open(path) as label:
            if label.mode not in MODES:
                raise UsageError(f"{path}: has colours ({label.mode}); a label has one number each")
            return np.asarray(label) > 0
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three for bad PNGs
        raise UsageError(f"{path}: cannot be read: {_reason(error)}") from error


def _by_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files by their stem, sorted."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in suffixes}


def _complete(where: Path, wanted: Iterable[str], photos: dict[str, Path], what: str) -> None:
    missing = [name for name in wanted if name not in photos]
    if missing:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise UsageError(f"{where}: {len(missing)} {what}s without a photo: {some}")


def _row(file: Path, number: int, line: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{file}:{number}: is not JSON: {error}") from error
    columns = ("id", "author", "hashtag")
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in columns):
        has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise UsageError(f"{file}:{number}: needs id, author and hashtag as text; has {has}")
    return {name: row[name] for name in columns}


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
