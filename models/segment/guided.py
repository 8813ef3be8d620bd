"""The edges of a small probability map follow those of the picture, by a guided filter."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pil

from models.base import Image, Probability
from models.images.guided import coefficients, stretch

WORKING_SIDE = 320  # px: the long side at which the filter's coefficients are found
RADIUS = 12  # px at that size: wider than what the network's grid blurs
SOFTNESS = 2e-5  # variance of the guide, in [0, 1]²: faint edges count


def refine(small: Probability, image: Image) -> Probability:
    """`small` (any size) stretched to the size of `image` (H, W, 3), along the picture's edges."""
    height, width = image.shape[:2]
    factor = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    reduced = Pil.fromarray(image).resize(size, Pil.Resampling.BILINEAR)
    guide = np.asarray(reduced, np.float32) / np.float32(255)
    planes = coefficients(guide, stretch(small, size), RADIUS, SOFTNESS)
    refined = stretch(planes[3], (width, height))
    for channel in range(3):
        gain = stretch(planes[channel], (width, height)) / np.float32(255)
        refined += gain * image[..., channel]
    return np.clip(refined, 0, 1)
