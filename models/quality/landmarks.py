"""Landmarks: corners of a picture, and what its surroundings look like, at several sizes.

After Brown, Szeliski and Winder, "Multi-image matching using multi-scale oriented patches" (CVPR
2005), without the orientation: who posts a picture again crops, tints, mirrors it or writes over
it, and hardly ever turns it, and upright patches are told apart better. A patch has mean 0 and
length 1, so brightness and contrast do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from models.base import Image

VERSION = "1"  # a change makes every watched picture be read, and every image be looked at, anew
SIDE = 384  # px: the longer side at which a picture is looked at
MOST = 400  # landmarks of a picture
PATCH = 8  # samples of a patch along each side
_STEP = 3  # px between samples, at the size of a level
_BLUR = 1.6  # px, before sampling
_LEVELS = (1.0, 0.75, 0.56, 0.42, 0.32)  # sizes
_CELLS = 8  # along the longer side; no cell has more than its share, so that all parts count
_LEAST = 4.0  # grey levels: standard deviation of a patch that shows something

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CornerPatches:
    """n landmarks of a picture of `width` × `height` px, which are those of the whole picture."""

    width: int
    height: int
    points: Floats  # (n, 2): x, y in px of the picture
    sizes: Floats  # (n,): px of the picture for one px of the level
    patches: NDArray[np.int8]  # (n, PATCH²): length 127

    def __len__(self) -> int:
        return len(self.points)

    def unit(self) -> Floats:
        """(n, PATCH²) float32 of length 1."""
        patches = self.patches.astype(np.float32)
        unit: Floats = patches / np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-6)
        return unit


def landmarks(image: Image) -> CornerPatches:
    """Of (H, W, 3) uint8, at least one pixel. A flat picture has none. Deterministic."""
    height, width = image.shape[:2]
    grey = PIL.Image.fromarray(image).convert("L")
    base = SIDE / max(width, height)
    found: list[tuple[Floats, Floats, Floats]] = []
    shares = np.square(_LEVELS) / np.square(_LEVELS).sum()
    for factor, share in zip(_LEVELS, shares, strict=True):
        size = max(1, round(width * base * factor)), max(1, round(height * base * factor))
        level = np.asarray(grey.resize(size, PIL.Image.Resampling.BOX), np.float32)
        rows, columns = _corners(level, round(MOST * float(share)))
        patches = _patches(level, rows, columns)
        spread = patches.std(axis=1)
        kept = spread > _LEAST
        by = width / size[0], height / size[1]
        points = np.stack([(columns + 0.5) * by[0], (rows + 0.5) * by[1]], axis=1)[kept]
        found.append((points, np.full(len(points), by[0]), patches[kept]))
    points, sizes, patches = (np.concatenate([one[k] for one in found]) for k in range(3))
    patches = patches - patches.mean(axis=1, keepdims=True)
    length = np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-6)
    return CornerPatches(
        width,
        height,
        points.astype(np.float32),
        sizes.astype(np.float32),
        np.rint(patches / length * 127).astype(np.int8),
    )


def _corners(level: Floats, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the strongest corners, spread over the picture."""
    edge = (PATCH - 1) * _STEP // 2 + 1
    height, width = level.shape
    if min(height, width) <= 2 * edge or not most:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    down, right = np.gradient(gaussian_filter(level, 1.0))
    xx, yy, xy = (
        gaussian_filter(a * b, 1.5) for a, b in ((right, right), (down, down), (right, down))
    )
    strength = (xx * yy - xy * xy) / (xx + yy + 1e-3)  # harmonic mean of the eigenvalues
    peak = (strength == maximum_filter(strength, 5)) & (strength > 1.0)
    peak[:edge], peak[-edge:], peak[:, :edge], peak[:, -edge:] = False, False, False, False
    rows, columns = np.nonzero(peak)
    order = np.argsort(-strength[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    side = max(height, width) / _CELLS
    cells = (rows / side).astype(np.intp) * _CELLS + (columns / side).astype(np.intp)
    rank = _rank_within(cells)
    first = np.argsort(rank, kind="stable")[:most]  # the best of every cell, then the second best
    return rows[first], columns[first]


def _rank_within(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of each thing, how many of its group come before it."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else order
    counts = np.diff(np.r_[starts, len(groups)])
    rank = np.empty(len(groups), np.intp)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, counts)
    return rank


def _patches(level: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """(n, PATCH²) grey levels around each place."""
    blurred = gaussian_filter(level, _BLUR)
    offsets = np.arange(PATCH) * _STEP - (PATCH - 1) * _STEP // 2
    at = rows[:, None, None] + offsets[:, None], columns[:, None, None] + offsets[None]
    patches: Floats = blurred[at].reshape(len(rows), PATCH * PATCH)
    return patches
