"""Is a picture, or a part of it, in another one: cropped, tinted, mirrored, written over?

Two steps. Landmarks whose surroundings agree propose where the picture lies in the other one, and
the place that most of them agree on is refined by least squares (an affine map, as in Lowe,
"Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.3). Then both
pictures are laid over each other and compared block by block, as near duplicates are: what merely
has the same logo, or the same frame, does not pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from models.base import Image
from models.quality.landmarks import PATCH, CornerPatches, Floats

VERSION = "2"  # a change makes every image be compared again
SAME = 0.5  # pictures at least so similar show the same photo; measured in docs/benchmarks.md
ALIKE = 0.8  # correlation of two patches that may show the same
TELLING = 0.8  # distance of the best patch over that of the best one elsewhere in the picture
NEAR = 0.02  # of the longer side: how far a landmark may lie from where it is expected
LEAST = 6  # landmarks that agree
SCALES = (0.2, 5.0)  # how much smaller or larger a picture may be in the other one
STRETCH = 1.5  # of one direction against the other
CANDIDATES = 4  # pictures that are looked at more closely
_VOTES = 3  # landmarks that make a candidate
_AT_ONCE = 65_536  # patches compared in one product: 100 MB
_SIDE = 192  # px at which two pictures are laid over each other
_BLOCK = 12
_DETAIL = (0.8, 2.0)  # px: coarser, two shirts of one shape on one sheet would agree
_NOISE = 6.0  # variance, of 255²
_COVERED = 0.08  # of the picture, at least

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """Where a picture lies in another one: (x, y) px of it → `matrix` · (x, y, 1) px of the other.

    `mirrored`: x counts from its right edge.
    """

    matrix: NDArray[np.float64]  # (2, 3)
    agreeing: int  # landmarks
    mirrored: bool = False

    def outline(self, width: int, height: int) -> Points:
        """The corners of the picture, which has this size, in px of the other one."""
        corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)])
        return [(float(x), float(y)) for x, y in corners @ self.matrix.T]

    def shown(self, size: tuple[int, int], other: tuple[int, int]) -> Points:
        """The corners of the other picture in px of this one; both sizes are (width, height)."""
        width, height = other
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)]) - self.matrix[:, 2]
        inside = corners @ np.linalg.inv(self.matrix[:, :2]).T
        if self.mirrored:
            inside[:, 0] = size[0] - inside[:, 0]
        return [(float(x), float(y)) for x, y in inside]


@dataclass(frozen=True, slots=True)
class Reappearance:
    placement: Position
    similarity: float  # in [0, 1]: how well the blocks agree
    covered: float  # share of the watched picture that the other one shows


class Watched:
    """Pictures to be found again. A mirror image is one of them under the negative number."""

    def __init__(self, pictures: Sequence[tuple[int, CornerPatches]]) -> None:
        self._names = np.array([name for name, _ in pictures], np.int64)
        self._marks = dict(pictures)
        self._owner = np.repeat(np.arange(len(pictures)), [len(marks) for _, marks in pictures])
        empty = np.empty((0, PATCH * PATCH), np.float32)
        self._patches = np.concatenate([empty, *(marks.unit() for _, marks in pictures)])

    def candidates(self, seen: CornerPatches, most: int = CANDIDATES) -> list[int]:
        """The numbers of those that share the most landmarks with `seen`, the best first."""
        if not len(seen) or not len(self._patches):
            return []
        unit = seen.unit()
        nearest = np.zeros(len(seen), np.intp)
        best = np.full(len(seen), -1.0, np.float32)
        for start in range(0, len(self._patches), _AT_ONCE):
            alike = unit @ self._patches[start : start + _AT_ONCE].T
            where = alike.argmax(axis=1)
            value = alike[np.arange(len(unit)), where]
            better = value > best
            nearest[better], best[better] = where[better] + start, value[better]
        votes = np.bincount(self._owner[nearest[best >= ALIKE]], minlength=len(self._names))
        order = np.argsort(-votes, kind="stable")[:most]
        return [int(self._names[k]) for k in order if votes[k] >= _VOTES]

    def placement(self, name: int, seen: CornerPatches) -> Position | None:
        """Where the picture of this number lies in the one whose landmarks are `seen`."""
        return place(self._marks[name], seen, mirrored=name < 0)


def place(one: CornerPatches, other: CornerPatches, *, mirrored: bool = False) -> Position | None:
    """Where `one` lies in `other`, as most of their landmarks say; None: they do not agree.

    `mirrored`: `one` are the landmarks of the mirror image.
    """
    here, there = _pairs(one, other)
    if len(here) < LEAST:
        return None
    source, target = one.points[here].astype(float), other.points[there].astype(float)
    reach = NEAR * max(other.width, other.height)
    chosen = _agreeing(source, target, other.sizes[there] / one.sizes[here], 2 * reach)
    for _ in range(3):
        if min(_places(source[chosen], one), _places(target[chosen], other)) < LEAST:
            return None
        homogeneous = np.c_[source, np.ones(len(source))]
        matrix = np.linalg.lstsq(homogeneous[chosen], target[chosen], rcond=None)[0].T
        chosen = np.abs(homogeneous @ matrix.T - target).max(axis=1) <= reach
    agreeing = min(_places(source[chosen], one), _places(target[chosen], other))
    if agreeing < LEAST or not _plausible(matrix):
        return None
    return Position(matrix, agreeing, mirrored)


def compare(one: Image, other: Image, placement: Position) -> Reappearance:
    """Lay both pictures over each other, (H, W, 3) uint8 each, and compare their blocks."""
    if placement.mirrored:
        one = one[:, ::-1]
    reduced = _reduced(placement, one, other)
    small = _grey(one, reduced)
    beside = _grey(other, reduced / float(np.sqrt(abs(np.linalg.det(placement.matrix[:, :2])))))
    matrix = placement.matrix.copy()  # from px of `small` to px of `beside`
    matrix[:, 0] *= one.shape[1] / small.width
    matrix[:, 1] *= one.shape[0] / small.height
    matrix *= np.array([[beside.width / other.shape[1]], [beside.height / other.shape[0]]])
    laid = beside.transform(
        small.size,
        PIL.Image.Transform.AFFINE,
        matrix.ravel().tolist(),
        PIL.Image.Resampling.BILINEAR,
    )
    inside = _inside(matrix, small.size, beside.size)
    covered = round(float(inside.mean()), 4)
    if covered < _COVERED:
        return Reappearance(placement, 0.0, covered)
    pair = np.asarray(small, np.float32), np.asarray(laid, np.float32)
    return Reappearance(placement, round(_agreement(*pair, inside), 4), covered)


def _reduced(placement: Position, one: Image, other: Image) -> float:
    """By how much `one` is reduced: what the other picture shows of it is `_SIDE` px long."""
    size, theirs = (one.shape[1], one.shape[0]), (other.shape[1], other.shape[0])
    shown = np.array(placement.shown(size, theirs)).clip(0, size)
    return float(_SIDE / max(float(np.ptp(shown, axis=0).max()), max(size) * SCALES[0]))


def _pairs(one: CornerPatches, other: CornerPatches) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Landmarks that look the same, and whose second best is clearly worse."""
    none = np.empty(0, np.intp)
    if not len(one) or not len(other):
        return none, none
    alike = other.unit() @ one.unit().T
    best = alike.argmax(axis=1)
    there = np.flatnonzero(alike.max(axis=1) >= ALIKE)
    best, alike = best[there], alike[there]
    # The same place is a landmark at several sizes: the second best is the best one elsewhere.
    apart = 4 * NEAR * max(one.width, one.height)
    far = np.abs(one.points[best][:, None] - one.points[None]).max(axis=2) > apart
    second = np.where(far, alike, -1).max(axis=1)
    value = alike[np.arange(len(best)), best]
    kept = (1 - value) <= TELLING**2 * np.maximum(1 - second, 1e-6)
    return best[kept], there[kept]


def _agreeing(
    source: NDArray[np.float64], target: NDArray[np.float64], scale: Floats, reach: float
) -> NDArray[np.bool_]:
    """The pairs that agree with the pair with which most of them agree: each says a scale and a
    place."""
    shift = target - source * scale[:, None]
    away = np.zeros((len(scale), len(scale)))
    for axis in (0, 1):
        expected = source[None, :, axis] * scale[:, None] + shift[:, None, axis]
        np.maximum(away, np.abs(expected - target[None, :, axis]), out=away)
    fits = (away <= reach) & (np.abs(np.log(scale[None] / scale[:, None])) < 0.6)
    chosen: NDArray[np.bool_] = fits[fits.sum(axis=1).argmax()]
    return chosen


def _places(points: NDArray[np.float64], of: CornerPatches) -> int:
    """How many there are: one place at several sizes counts once."""
    cell = 0.015 * max(of.width, of.height)
    return len(set(map(tuple, np.rint(points / cell).astype(int).tolist())))


def _plausible(matrix: NDArray[np.float64]) -> bool:
    """No mirror image, nothing bent, turned by a quarter or squeezed to a line."""
    square = matrix[:, :2]
    large, small = np.linalg.svd(square, compute_uv=False)
    upright = square[0, 0] > 0 and square[1, 1] > 0 and np.linalg.det(square) > 0
    fits = SCALES[0] <= small and large <= SCALES[1] and large <= STRETCH * small
    return bool(upright and fits)


def _grey(image: Image, factor: float) -> PIL.Image.Image:
    grey = PIL.Image.fromarray(np.ascontiguousarray(image)).convert("L")
    wide, high = (max(_BLOCK, round(side * factor)) for side in grey.size)
    return grey.resize((wide, high), PIL.Image.Resampling.BOX)


def _inside(
    matrix: NDArray[np.float64], size: tuple[int, int], other: tuple[int, int]
) -> NDArray[np.bool_]:
    """(H, W): the pixels of the picture that the other one shows."""
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    inside: NDArray[np.bool_] = (x >= 0) & (y >= 0) & (x <= other[0]) & (y <= other[1])
    return inside


def _agreement(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> float:
    """The median correlation of the blocks, weighted by the detail of the first picture.

    So nearly half of them may be anything: words and marks lie over them.
    """
    fine, coarse = _DETAIL
    pair = [gaussian_filter(x, fine) - gaussian_filter(x, coarse) for x in (first, second)]
    one, other = (_blocks(x) for x in pair)
    energy = [(blocks**2).mean(axis=1) for blocks in (one, other)]
    detailed = (energy[0] > _NOISE) & (_blocks(inside.astype(np.float32), centred=False).min(1) > 0)
    if detailed.sum() < 4:
        return 0.0
    alike = (one * other).mean(axis=1) / np.sqrt((energy[0] + 1e-3) * (energy[1] + _NOISE))
    alike, weight = alike[detailed].clip(0, 1), np.sqrt(energy[0])[detailed]
    order = np.argsort(-alike)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(alike[order][np.searchsorted(share, 0.5)])


def _blocks(image: Floats, *, centred: bool = True) -> Floats:
    """(H, W) → (blocks, pixels)."""
    height, width = (side // _BLOCK * _BLOCK for side in image.shape)
    cut = image[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks: Floats = cut.transpose(0, 2, 1, 3).reshape(-1, _BLOCK * _BLOCK)
    return blocks - blocks.mean(axis=1, keepdims=True) if centred else blocks
