"""A mask at another size, edge on edge with its image: pixel centres keep their places."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL.Image import Resampling
from scipy import ndimage

from models.base import Mask


def stretched(mask: Mask, width: int, height: int) -> Mask:
    """(H, W) -> (height, width), by a straight line between pixel centres."""
    return _resized(mask, width, height, Resampling.BILINEAR)


def reduced(mask: Mask, width: int, height: int) -> Mask:
    """(H, W) -> (height, width), no larger: object where at least half of a pixel is."""
    return _resized(mask, width, height, Resampling.BOX)


def redrawn(drawn: Mask, before: Mask) -> Mask:
    """`drawn`, at the size of `before`, which was drawn on at the size of `drawn`, reduced.

    Where nothing was drawn, every pixel of `before` stays, however fine; beside what was drawn and
    in an empty mask, nothing is left over.
    """
    height, width = before.shape
    changed = drawn != reduced(before, drawn.shape[1], drawn.shape[0])
    touched = ndimage.binary_dilation(changed, np.ones((3, 3)))
    kept = _resized(~touched & drawn.any(), width, height, Resampling.NEAREST)
    found: Mask = np.where(kept, before, stretched(drawn, width, height))
    return found


def _resized(mask: Mask, width: int, height: int, how: Resampling) -> Mask:
    if mask.shape == (height, width):
        return mask
    grey = PIL.Image.fromarray(mask.astype(np.uint8) * 255)
    found: Mask = np.asarray(grey.resize((width, height), how)) >= 128
    return found
