"""Small moves on Pillow images that several styles share."""

from __future__ import annotations

import PIL.Image
from PIL import ImageFilter
from PIL.Image import Resampling

from models.compose.palette import Colour, gradient


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
