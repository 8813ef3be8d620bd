"""What a picture shows, in three parts that can be compared apart: object, background, light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy.ndimage import gaussian_filter

from models.base import Image, Mask
from models.detect.voting import box_of

Floats = NDArray[np.float32]
GREY = 128  # what stands around an object that is looked at alone
MARGIN = 0.1  # of the object's box
SIDE = 256  # px: the longer side at which the background is filled
_LIGHT = 96


def object_view(image: Image, mask: Mask) -> Image:
    """(H, W, 3) and (H, W) → the object alone, before grey; the whole picture without one."""
    box = box_of(mask)
    if box is None:
        return image
    left, top, right, bottom = (int(value) for value in box)
    wide, high = round((right - left) * MARGIN), round((bottom - top) * MARGIN)
    rows = slice(max(0, top - high), bottom + high)
    columns = slice(max(0, left - wide), right + wide)
    alone: Image = np.where(mask[..., None], image, np.uint8(GREY))[rows, columns]
    return np.ascontiguousarray(alone)


def background_view(image: Image, mask: Mask) -> Image:
    """The picture without its object: its place is filled from what is around it, at most
    `SIDE` px large. A mask that covers all leaves one colour."""
    small = Pil.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    inside = np.asarray(Pil.fromarray(mask).resize(small.size)) > 0
    pixels, known = np.asarray(small, np.float32), (~inside).astype(np.float32)
    if known.all():
        return np.asarray(small)
    filled, missing = pixels.copy(), inside
    for spread in (2, 4, 8, 16, 32, 64):  # from the edge inwards: the nearest counts most
        weight = gaussian_filter(known, spread)
        near = missing & (weight > 1e-3)
        for channel in range(3):
            around = gaussian_filter(pixels[..., channel] * known, spread)
            filled[..., channel][near] = around[near] / weight[near]
        missing = missing & ~near
    if missing.any():
        filled[missing] = pixels[~inside].mean(axis=0) if (~inside).any() else GREY
    return np.asarray(filled.clip(0, 255), np.uint8)


def light(image: Image) -> Floats:
    """(10,): brightness and its spread, dark and bright share, contrast of details, colour cast
    (red-green, yellow-blue), saturation, and from which side it comes (x, y); each about 0..1."""
    small = np.asarray(
        Pil.fromarray(image).resize((_LIGHT, _LIGHT), Pil.Resampling.BOX), np.float32
    )
    red, green, blue = (small[..., k] / 255 for k in range(3))
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    half = _LIGHT // 2
    highest, lowest = small.max(axis=2), small.min(axis=2)
    return np.array(
        [
            grey.mean(),
            2 * grey.std(),
            (grey < 0.15).mean(),
            (grey > 0.85).mean(),
            4 * (grey - gaussian_filter(grey, 2)).std(),
            0.5 + 2 * (red - green).mean(),
            0.5 + 2 * ((red + green) / 2 - blue).mean(),
            ((highest - lowest) / np.maximum(highest, 1)).mean(),
            0.5 + grey[:, half:].mean() - grey[:, :half].mean(),
            0.5 + grey[half:].mean() - grey[:half].mean(),
        ],
        np.float32,
    )
