"""Masks of main objects: where they come from, and as COCO's run lengths and polygons."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from skimage.measure import find_contours

from bot.app import App
from bot.errors import StorageError
from bot.flow.policy import utc_now
from models.base import Image, Mask, Segmenter
from models.images import decode, png_mask
from storage import blobs
from storage.records import MASK
from storage.tables import Artifact, BlobRow

TOLERANCE = 1.0  # px a polygon may differ from its mask's outline


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mask at whatever size it was computed, as the PNG it is kept in, and by which network."""

    mask: Mask
    png: bytes
    version: str

    def fitted(self, width: int, height: int) -> Drawn:
        """At another size."""
        if self.mask.shape == (height, width):
            return self
        grey = PIL.Image.fromarray(self.mask.astype(np.uint8) * 255)
        resized = np.asarray(grey.resize((width, height), PIL.Image.Resampling.BILINEAR))
        mask = np.asarray(resized >= 128, dtype=np.bool_)
        return Drawn(mask, png_mask(mask), self.version)


class Masks:
    """The mask frozen with the snapshot; with a segmenter, its own for every image."""

    def __init__(self, app: App, segmenter: Segmenter | None) -> None:
        self._app = app
        self._segmenter = segmenter
        self.missing = 0  # frozen ones whose file is gone

    def of(self, source: str, frozen: dict[str, str] | None, image: bytes) -> Drawn | None:
        """`frozen`: the one the snapshot knows; `image`: the original's bytes."""
        network = self._segmenter
        if frozen is not None and (network is None or frozen["version"] == network.version):
            try:
                return _read(self._app, frozen["sha256"], frozen["version"])
            except StorageError:
                self.missing += 1
        return self._computed(network, source, image) if network else None

    def _computed(self, network: Segmenter, source: str, image: bytes) -> Drawn:
        text = json.dumps([MASK, network.version, {"of": "original"}, source])
        key = hashlib.sha256(text.encode()).hexdigest()
        with self._app.database.read() as session:
            row = session.get(Artifact, key)
        if row is not None and self._app.artifacts.path(row.sha256).exists():
            return _read(self._app, row.sha256, network.version)
        found = network(_pixels(self._app, image))
        data = png_mask(found.mask)
        facts = {"version": network.version, "confidence": round(found.confidence, 4)}
        self._keep(key, source, data, facts)
        return Drawn(found.mask, data, network.version)

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
        points = contour[:, 1] + 1j * contour[:, 0]  # x + yi
        corners = points[_corners(points[:-1])] + complex(x - 0.5, y - 0.5)  # padding, to edges
        if len(corners) >= 3:
            found.append([float(v) for one in corners for v in (one.real, one.imag)])
    return found or [[x, y, x + width, y, x + width, y + height, x, y + height]]


def _corners(points: NDArray[np.complex128]) -> list[int]:
    """Which points of a ring are enough, so that no other is further than TOLERANCE from them.

    Ramer, Douglas and Peucker's; skimage's takes five times as long, and this is what an export
    with masks spends its time on.
    """
    ring = np.append(points, points[0])
    far = int(np.abs(ring - ring[0]).argmax())
    kept, waiting = {0, far}, [(0, far), (far, len(ring) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        between = ring[first + 1 : last] - ring[first]
        chord = ring[last] - ring[first]
        length = abs(chord)
        away = np.abs((between * chord.conjugate()).imag) / length if length else np.abs(between)
        furthest = int(away.argmax())
        if away[furthest] > TOLERANCE:
            middle = first + 1 + furthest
            kept.add(middle)
            waiting += [(first, middle), (middle, last)]
    return sorted(kept)


def _area(contour: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Signed, of (row, column) points: > 0 where the inside is high."""
    rows, columns = contour[:, 0], contour[:, 1]
    return float(np.dot(columns[:-1], rows[1:]) - np.dot(columns[1:], rows[:-1])) / 2


def _pixels(app: App, image: bytes) -> Image:
    return decode(image, max_pixels=app.settings.limits.max_pixels).pixels


def _read(app: App, sha256: str, version: str) -> Drawn:
    """One of our own artifacts: 8-bit grey, as png_mask writes it."""
    data = app.artifacts.get(sha256)
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return Drawn(np.asarray(image.convert("L")) >= 128, data, version)
    except (OSError, ValueError) as error:
        raise StorageError(f"mask {sha256[:12]} cannot be read: {error}") from error
