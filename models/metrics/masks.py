"""How well a mask fits the true one. Masks: (H, W) bool, both of one size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.base import Mask, Probability

THRESHOLDS = 256
BETA2 = 0.3  # F weights precision more than recall, as usual for saliency
TOLERANCE = 0.0075  # of the diagonal

Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two exclusive


def iou(got: Mask, wanted: Mask) -> float:
    """Intersection over union; 1 when both are empty."""
    either = int((got | wanted).sum())
    return 1.0 if either == 0 else float((got & wanted).sum() / either)


def f_curve(probability: Probability, wanted: Mask) -> NDArray[np.float64]:
    """(256,) F-measures, beta² = 0.3, of `probability * 255 >= t` for t = 0..255.

    A mask without any pixel scores 1 if the true mask is empty, else 0. maxF of a set is the
    largest mean over its images: `max_f`.
    """
    _same_size(probability, wanted)
    levels = np.clip(np.floor(probability * (THRESHOLDS - 1)), 0, THRESHOLDS - 1).astype(np.intp)
    found = _from_top(np.bincount(levels.ravel(), minlength=THRESHOLDS))
    hits = _from_top(np.bincount(levels[wanted], minlength=THRESHOLDS))
    total = int(wanted.sum())
    # (1 + b) P R / (b P + R) with P = hits / found and R = hits / total, without dividing by 0
    divisor = BETA2 * total + found
    return np.where(divisor == 0, 1.0, (1 + BETA2) * hits / np.maximum(divisor, 1e-12))


def max_f(curves: NDArray[np.float64]) -> float:
    """(N, 256) curves of N images → the largest mean F over the thresholds."""
    return float(curves.mean(axis=0).max())


def boundary_f(got: Mask, wanted: Mask, tolerance: float = TOLERANCE) -> float:
    """F1 of boundary pixels that lie within `tolerance` · diagonal, rounded up to whole pixels.

    A boundary pixel belongs to the mask and touches a pixel that does not (four neighbours); the
    frame of the image is not a boundary. If a mask has no boundary (empty, or the whole image), the
    result is 1 for equal masks and 0 for others.
    """
    _same_size(got, wanted)
    ours, theirs = _boundary(got), _boundary(wanted)
    if not ours.any() or not theirs.any():
        return float(np.array_equal(got, wanted))
    radius = math.ceil(tolerance * math.hypot(*got.shape))
    precision = float((ndimage.distance_transform_edt(~theirs)[ours] <= radius).mean())
    recall = float((ndimage.distance_transform_edt(~ours)[theirs] <= radius).mean())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def main_box(mask: Mask) -> Box | None:
    """The box of the largest component (four neighbours; of equal ones the first from the top)."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return None
    largest = int(np.bincount(parts.ravel())[1:].argmax())
    rows, columns = ndimage.find_objects(parts)[largest]
    return rows.start, columns.start, rows.stop, columns.stop


def located(got: Mask, wanted: Mask) -> bool:
    """CorLoc of one image: the main boxes have an IoU of at least 0.5, or both masks are empty."""
    _same_size(got, wanted)
    ours, theirs = main_box(got), main_box(wanted)
    if ours is None or theirs is None:
        return ours is theirs
    return box_iou(ours, theirs) >= 0.5


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes that are not empty."""
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    both = max(height, 0) * max(width, 0)
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _boundary(mask: Mask) -> Mask:
    edge: Mask = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return edge


def _from_top(histogram: NDArray[np.intp]) -> NDArray[np.intp]:
    """The number of values at each level or above."""
    return histogram[::-1].cumsum()[::-1]


def _same_size(got: NDArray[np.generic], wanted: Mask) -> None:
    if got.shape != wanted.shape:
        raise ValueError(f"masks of different sizes: {got.shape} and {wanted.shape}")
