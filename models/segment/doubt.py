"""Whether a mask may be shown to people by itself, or a person should look at it first.

Two signs are the best of those tried on photos with masks drawn by hand (see `bench.doubts`): the
mean probability inside the mask, and how much of the picture the network half sees beyond it. A
mask that stops inside its object, at a neck or a waist, leaves the rest half seen. What the
picture's own frame cuts leaves nothing, and is no fault.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL.Image import Resampling
from scipy import ndimage

from models.base import Segmentation

REVISION = "1"  # part of what is kept of a mask
UNSURE = 0.84  # mean probability inside the mask, under which the object itself is doubtful
HALF_SEEN = 0.6  # of the mask's area: more than that is half seen beyond it
LOW, HIGH = 0.15, 0.55  # probability that counts as half seen
NEAR = 5  # px at `SIDE`: so near to the mask it is only a soft edge
SIDE = 224  # px


def doubt(found: Segmentation) -> str:
    """Why a person should look first, in words for that person; "" if nobody needs to.

    An empty mask is no doubt: nothing of it is shown.
    """
    if not found.mask.any():
        return ""
    if found.confidence < UNSURE:
        return f"the main object is not clear ({found.confidence:.0%} sure)"
    rest = beyond(found)
    if rest > HALF_SEEN:
        return f"the object may go on where its mask ends ({rest:.0%} of it half seen)"
    return ""


def beyond(found: Segmentation) -> float:
    """How much the network half sees away from the mask, by the mask's area."""
    probability = _small(found.probability)
    mask = _small(found.mask.astype(np.float32)) > 0.5
    edge = ndimage.binary_dilation(mask, iterations=NEAR)
    half = (probability > LOW) & (probability <= HIGH) & ~edge
    return float(half.sum() / max(1, mask.sum()))


def _small(
    plane: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    layer = PIL.Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(layer.resize((SIDE, SIDE), Resampling.BOX), dtype=np.float32)
