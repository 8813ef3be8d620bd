"""A mask as a person would cut it: without pinholes and without crumbs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.base import Mask

REVISION = "2"  # part of the segmenter's version: masks kept from another one are not reused
HOLE = 0.01  # of the picture: what is smaller and surrounded belongs to the object
CRUMB = 0.05  # of the largest part: what is smaller and lies apart does not


def tidy(mask: Mask) -> Mask:
    """(H, W) bool -> (H, W) bool; an empty mask stays empty."""
    if not mask.any():
        return mask
    filled = mask | _small(~mask, HOLE * mask.size)
    parts, _ = ndimage.label(filled)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= CRUMB * sizes.max())[parts]
    return kept


def _small(background: Mask, limit: float) -> Mask:
    """Parts of the background below `limit` pixels; those at the border are no holes."""
    parts, _ = ndimage.label(background)
    sizes = np.bincount(parts.ravel())
    small = sizes < limit
    small[0] = False
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    small[np.unique(edge)] = False
    found: Mask = small[parts]
    return found
