"""A guided filter (He, Sun, Tang): a plane becomes locally linear in the colours of a picture.

Where the plane has an edge near one of the picture's, it gets the picture's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy import ndimage

Plane = NDArray[np.float32]  # (H, W)
Colours = NDArray[np.float32]  # (H, W, 3) in [0, 1]


def coefficients(guide: Colours, target: Plane, radius: int, softness: float) -> list[Plane]:
    """Red, green, blue and offset: planes whose sum, times the guide's colours, is the target.

    `radius` in px; `softness`: the variance of the guide, in [0, 1]², under which it smooths.
    """
    channels = [np.ascontiguousarray(guide[..., channel]) for channel in range(3)]
    means = [_mean(channel, radius) for channel in channels]
    average = _mean(target, radius)
    with_target = [
        _mean(channel * target, radius) - mean * average
        for channel, mean in zip(channels, means, strict=True)
    ]
    gains = _solved(_covariances(channels, means, radius, softness), with_target)
    offset = average - sum(gain * mean for gain, mean in zip(gains, means, strict=True))
    return [_mean(plane, radius) for plane in (*gains, offset)]


def stretch(plane: NDArray[np.floating[Any]], size: tuple[int, int]) -> Plane:
    """To `size` = (width, height), bilinearly."""
    layer = Pil.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.array(layer.resize(size, Pil.Resampling.BILINEAR))


def between(
    planes: NDArray[np.float32],
    places: NDArray[np.intp],
    width: int,
    step: tuple[float, float],
) -> NDArray[np.float32]:
    """Planes at some pixels of a larger image, bilinearly: (h, w, n) -> (m, n).

    `places`: the pixels, counted row by row of `width`; `step`: pixels of the image for one of the
    planes, across and down.
    """
    height, across, count = planes.shape
    rows, columns = np.divmod(places, width)
    y = ((rows + 0.5) / step[1] - 0.5).clip(0, height - 1).astype(np.float32)
    x = ((columns + 0.5) / step[0] - 0.5).clip(0, across - 1).astype(np.float32)
    top, left = y.astype(np.intp), x.astype(np.intp)
    down, right = (y - top)[:, None], (x - left)[:, None]
    below, beside = np.minimum(top + 1, height - 1), np.minimum(left + 1, across - 1)
    flat = planes.reshape(-1, count)
    upper = flat[top * across + left]
    upper += right * (flat[top * across + beside] - upper)
    lower = flat[below * across + left]
    lower += right * (flat[below * across + beside] - lower)
    lower -= upper
    lower *= down
    lower += upper
    found: NDArray[np.float32] = lower
    return found


def _covariances(
    channels: list[Plane], means: list[Plane], radius: int, softness: float
) -> dict[tuple[int, int], Plane]:
    found = {}
    for one in range(3):
        for other in range(one, 3):
            both = _mean(channels[one] * channels[other], radius) - means[one] * means[other]
            found[one, other] = both + np.float32(softness) if one == other else both
    return found


def _solved(matrix: dict[tuple[int, int], Plane], right: list[Plane]) -> list[Plane]:
    """The symmetric 3 × 3 system of every pixel, by Cramer's rule.

    In double precision: of a picture that is nearly grey, all that is left is a small difference.
    """
    (rr, rg, rb, gg, gb, bb) = (matrix[key].astype(np.float64) for key in sorted(matrix))
    first, second, third = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    scale = np.reciprocal(rr * first + rg * second + rb * third)
    r, g, b = right
    crossed = rg * rb - rr * gb
    summed = (
        first * r + second * g + third * b,
        second * r + (rr * bb - rb * rb) * g + crossed * b,
        third * r + crossed * g + (rr * gg - rg * rg) * b,
    )
    return [np.asarray(scale * plane, np.float32) for plane in summed]


def _mean(plane: Plane, radius: int) -> Plane:
    filtered: Plane = ndimage.uniform_filter(plane, 2 * radius + 1, mode="nearest")
    return filtered
