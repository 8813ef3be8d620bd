"""Small pictures of large ones: decoded in the process for strangers' bytes, kept for a while."""

from __future__ import annotations

import io
from collections import OrderedDict
from threading import Lock

import PIL.Image

from bot.core.clock import utc_now
from bot.service.app import App
from models.images import decoder
from storage.artifacts import Artifacts, Recipe

MOST = 12_000_000  # bytes that are kept
QUALITY = 82
VERSION = "1"
KEPT = frozenset({96, 320, 1600})  # sides that are kept on disk: those of our pages


class Thumbnails:
    """By the hash of the image and the longer side. May be used by several threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        self._one = Lock()  # at a time: a photo takes many times the memory of its thumbnail

    def of(self, sha256: str, data: bytes, side: int) -> bytes:
        """A WebP whose longer side has at most `side` px. Raises ImageRejected."""
        key = (sha256, side)
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        with self._one:
            made = _reduced(data, side)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(made)
            while self._size > self._most:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped)
        return made


def _reduced(data: bytes, side: int) -> bytes:
    pixels = decoder.decode(data, min_side=1, shrink_to=side).pixels
    picture = PIL.Image.fromarray(pixels)
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY, method=2)
    return file.getvalue()


def kept_thumbnail(app: App, thumbnails: Thumbnails, sha256: str, side: int) -> bytes:
    """That of a stored image, made once: kept as an artifact, it goes when its image goes.

    Raises ImageRejected, StorageError.
    """
    if side not in KEPT:
        return thumbnails.of(sha256, app.originals.get(sha256), side)
    recipe = Recipe("thumbnail", VERSION, sha256, {"side": side})
    kept = Artifacts(app.database, app.artifacts)
    if (found := kept.find(recipe)) is not None:
        return app.artifacts.get(found.sha256)
    made = thumbnails.of(sha256, app.originals.get(sha256), side)
    kept.keep(recipe, made, "image/webp", {}, utc_now())
    return made
