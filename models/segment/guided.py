"""A guided filter: the edges of a small probability map follow those of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy import ndimage

from models.base import Image, Probability

Plane = NDArray[np.float32]

WORKING_SIDE = 320  # the long side at which the filter's coefficients are found
RADIUS = 5  # pixels at that size
SOFTNESS = 1e-3  # of the guide's variance, in (grey level / 255)²


def refine(small: Probability, image: Image) -> Probability:
    """`small` (any size) stretched to the size of `image` (H, W, 3), along the picture's edges."""
    height, width = image.shape[:2]
    picture = Pil.fromarray(image).convert("L")
    factor = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    guide = np.asarray(picture.resize(size, Pil.Resampling.BILINEAR), np.float32) / np.float32(255)
    gain, offset = coefficients(guide, stretch(small, size))
    full = np.asarray(picture, np.float32) / np.float32(255)
    refined = stretch(gain, (width, height)) * full + stretch(offset, (width, height))
    return np.clip(refined, 0, 1).astype(np.float32)


def coefficients(guide: Plane, target: Plane) -> tuple[Plane, Plane]:
    """Locally best `gain` and `offset` with gain · guide + offset ≈ target, averaged."""
    mean_guide, mean_target = mean(guide), mean(target)
    variance = mean(guide * guide) - mean_guide**2
    covariance = mean(guide * target) - mean_guide * mean_target
    gain = covariance / (variance + SOFTNESS)
    return mean(gain), mean(mean_target - gain * mean_guide)


def mean(plane: Plane) -> Plane:
    filtered: Plane = ndimage.uniform_filter(plane, 2 * RADIUS + 1, mode="nearest")
    return filtered


def stretch(plane: Plane, size: tuple[int, int]) -> Plane:
    """To `size` = (width, height), bilinearly."""
    return np.asarray(Pil.fromarray(plane).resize(size, Pil.Resampling.BILINEAR), np.float32)
