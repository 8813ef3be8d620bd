"""Masks of main objects: where they come from, and as COCO's run lengths and polygons."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import PIL.Image
from skimage.measure import approximate_polygon, find_contours

from bot.app import App
from bot.errors import StorageError
from bot.flow.policy import utc_now
from models.base import Image, Mask, Segmenter
from models.images import decode, png_mask
from storage import blobs
from storage.records import MASK
from storage.tables import Artifact, BlobRow

TOLERANCE = 1.0  # px a polygon may differ from its mask's outline


class Masks:
    """The mask frozen with the snapshot; with a segmenter, its own for every image."""

    def __init__(self, app: App, segmenter: Segmenter | None) -> None:
        self._app = app
        self._segmenter = segmenter
        self.missing = 0  # frozen ones whose file is gone

    def of(
        self, source: str, frozen: dict[str, str] | None, image: bytes
    ) -> tuple[Mask, str] | None:
        """A mask at whatever size it was computed, and the network's version."""
        network = self._segmenter
        if frozen is not None and (network is None or frozen["version"] == network.version):
            try:
                return _read(self._app, frozen["sha256"]), frozen["version"]
            except StorageError:
                self.missing += 1
        return (self._computed(network, source, image), network.version) if network else None

    def _computed(self, network: Segmenter, source: str, image: bytes) -> Mask:
        text = json.dumps([MASK, network.version, {"of": "original"}, source])
        key = hashlib.sha256(text.encode()).hexdigest()
        with self._app.database.read() as session:
            row = session.get(Artifact, key)
        if row is not None and self._app.artifacts.path(row.sha256).exists():
            return _read(self._app, row.sha256)
        found = network(_pixels(self._app, image))
        data = png_mask(found.mask)
        facts = {"version": network.version, "confidence": round(found.confidence, 4)}
        self._keep(key, source, data, facts)
        return found.mask

    def _keep(self, key: str, source: str, data: bytes, facts: dict[str, Any]) -> None:
        """Unless the image was forgotten while the network ran."""
        sha256, now = self._app.artifacts.put(data), utc_now()
        with self._app.database.write() as session:
            if session.get(BlobRow, source) is None or session.get(Artifact, key) is not None:
                return
            blobs.link(session, sha256, len(data), "image/png", now)
            session.add(
                Artifact(
                    key=key,
                    stage=MASK,
                    sha256=sha256,
                    source_sha256=source,
                    facts=facts,
                    created=now,
                )
            )


def fitted(mask: Mask, width: int, height: int) -> Mask:
    """The mask at another size."""
    if mask.shape == (height, width):
        return mask
    grey = PIL.Image.fromarray(mask.astype(np.uint8) * 255)
    resized = grey.resize((width, height), PIL.Image.Resampling.BILINEAR)
    return np.asarray(np.asarray(resized) >= 128, dtype=np.bool_)


def box(mask: Mask) -> tuple[int, int, int, int]:
    """(x, y, width, height) in pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def run_lengths(mask: Mask) -> dict[str, Any]:
    """COCO's compressed RLE: {"size": [height, width], "counts": text}.

    Runs go down the columns and begin with zeros; from the fourth on each is a difference to the
    last but one; 5 bits a character, as in cocoapi's `rleToString` (maskApi.c).
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    counts = [0, *runs.tolist()] if flat.size and flat[0] else runs.tolist()
    text = bytearray()
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        while True:
            bits, rest = rest & 31, rest >> 5
            more = rest != (-1 if bits & 16 else 0)
            text.append(48 + (bits | (32 if more else 0)))
            if not more:
                break
    return {"size": list(mask.shape), "counts": text.decode("ascii")}


def polygons(mask: Mask) -> list[list[float]]:
    """Outlines [x0, y0, x1, y1, …] in pixels, each part of the mask one; holes are filled.

    Coordinates are of pixel edges: (0, 0) is the upper left corner of the first pixel.
    """
    if not mask.any():
        return []
    x, y, width, height = box(mask)
    inside = np.pad(mask[y : y + height, x : x + width], 1)
    found = []
    for contour in find_contours(inside.astype(np.float32), 0.5):
        if _area(contour) <= 0:  # runs the other way round: a hole
            continue
        corners = approximate_polygon(contour, TOLERANCE)[:-1]
        if len(corners) < 3:
            continue
        points = corners[:, ::-1] + (x - 0.5, y - 0.5)  # out of the padding, to edges
        found.append([round(float(value), 2) for value in points.ravel()])
    return found or [[x, y, x + width, y, x + width, y + height, x, y + height]]


def _area(contour: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Signed, of (row, column) points: > 0 where the inside is high."""
    rows, columns = contour[:, 0], contour[:, 1]
    return float(np.dot(columns[:-1], rows[1:]) - np.dot(columns[1:], rows[:-1])) / 2


def _pixels(app: App, image: bytes) -> Image:
    return decode(image, max_pixels=app.settings.limits.max_pixels).pixels


def _read(app: App, sha256: str) -> Mask:
    return np.asarray(decode(app.artifacts.get(sha256), min_side=1).pixels[:, :, 0] >= 128)
