"""Small moves on images that several styles share."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageFilter
from PIL.Image import Resampling

from models.compose.palette import Colour, gradient

DARK = 0.45  # OKLab lightness under which an object gets more light


def toned(grey: PIL.Image.Image, *stops: Colour) -> PIL.Image.Image:
    """A grey image (mode L) in colours: black becomes the first stop, white the last."""
    return PIL.Image.merge("RGB", (grey, grey, grey)).point(gradient(*stops))


def solid(like: PIL.Image.Image, colour: Colour) -> PIL.Image.Image:
    return PIL.Image.new("RGB", like.size, colour)


def faded(layer: PIL.Image.Image, strength: float) -> PIL.Image.Image:
    """A mode L layer times `strength`, in [0, 1]."""
    return layer.point([round(value * strength) for value in range(256)])


def soft(image: PIL.Image.Image, radius: float) -> PIL.Image.Image:
    """A wide blur, worked out on a smaller copy."""
    step = max(1, int(radius / 3))
    small = image.reduce(step).filter(ImageFilter.GaussianBlur(radius / step))
    return small.resize(image.size, Resampling.BICUBIC)


def shifted(values: NDArray[Any], right: int, down: int) -> NDArray[Any]:
    """(H, W) moved by so many pixels (>= 0); its own borders fill what is left behind."""
    height, width = values.shape
    right, down = min(right, width - 1), min(down, height - 1)
    return np.pad(values, ((down, 0), (right, 0)), mode="edge")[:height, :width]


def shadowed(
    ground: PIL.Image.Image, layer: PIL.Image.Image, unit: float, *, lift: float, dark: float
) -> PIL.Image.Image:
    """The ground with the soft shadow of a layer (mode L) that lies `lift` units above it."""
    down = max(1, round(lift * unit))
    moved = PIL.Image.fromarray(shifted(np.asarray(layer), down // 2, down))
    shadow = faded(soft(moved, max(0.9 * lift * unit, 0.5)), dark)
    return PIL.Image.composite(solid(ground, (14, 12, 30)), ground, shadow)


def lifted(photo: PIL.Image.Image, lightness: float) -> PIL.Image.Image:
    """Light for an object that is dark as a whole. `lightness`: OKLab's, in [0, 1]."""
    lift = min(max((DARK - lightness) / 0.35, 0.0), 1.0)
    if lift == 0.0:
        return photo
    power = 1 - 0.3 * lift
    return photo.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)
