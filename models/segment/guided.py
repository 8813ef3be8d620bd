"""The edges of a small probability map follow those of the picture, by a guided filter."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pil

from models.base import Image, Probability
from models.images.guided import Colours, coefficients, stretch

WORKING_SIDE = 320  # px: the long side at which the filter's coefficients are found
FINE_SIDE = 800  # px: the long side at which they are applied; a cut-out has finer edges later
RADIUS = 12  # px at that size: wider than what the network's grid blurs
SOFTNESS = 2e-5  # variance of the guide, in [0, 1]²: faint edges count


def refine(small: Probability, image: Image) -> Probability:
    """`small` (any size) stretched to the size of `image` (H, W, 3), along the picture's edges."""
    height, width = image.shape[:2]
    picture = Pil.fromarray(image)
    guide, fine = _guide(picture, WORKING_SIDE), _guide(picture, FINE_SIDE)
    planes = coefficients(guide, stretch(small, _size(guide)), RADIUS, SOFTNESS)
    refined = stretch(planes[3], _size(fine))
    for channel in range(3):
        refined += stretch(planes[channel], _size(fine)) * fine[..., channel]
    refined = np.clip(refined, 0, 1)
    return refined if _size(fine) == (width, height) else stretch(refined, (width, height))


def _guide(picture: Pil.Image, side: int) -> Colours:
    """The picture in [0, 1], its long side at most `side` px."""
    factor = min(1.0, side / max(picture.size))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    reduced = picture.resize(size, Pil.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(reduced, np.float32) / np.float32(255)


def _size(plane: Colours) -> tuple[int, int]:
    return plane.shape[1], plane.shape[0]
