"""Placing an image on the canvas a platform allows, without cutting anything off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL.Image import Resampling
from PIL.ImageFilter import GaussianBlur

from models.base import Image, Mask
from models.images.canvas import Canvas

_PREVIEW = 12  # the margin is blurred at this fraction of the canvas
_DARKEN = 0.55


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies on its canvas. All in pixels of the canvas."""

    canvas: tuple[int, int]  # (width, height)
    box: tuple[int, int, int, int]  # left, top, width, height of the image

    def image(self, image: Image) -> Image:
        """(H, W, 3) uint8 -> (canvas height, canvas width, 3); margins continue it, blurred."""
        source = PIL.Image.fromarray(image)
        left, top, width, height = self.box
        placed = source.resize((width, height), Resampling.LANCZOS, reducing_gap=2.0)
        if (width, height) == self.canvas:
            return np.array(placed)
        canvas = _backdrop(placed, self.canvas)
        canvas.paste(placed, (left, top))
        return np.array(canvas)

    def mask(self, mask: Mask) -> Mask:
        """(H, W) bool -> (canvas height, canvas width) bool; False in the margins."""
        left, top, width, height = self.box
        grey = PIL.Image.fromarray(mask.astype(np.uint8) * 255)
        placed = np.asarray(grey.resize((width, height), Resampling.BILINEAR)) >= 128
        out = np.zeros((self.canvas[1], self.canvas[0]), dtype=np.bool_)
        out[top : top + height, left : left + width] = placed
        return out

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A position in the image, in [0, 1], as a position on the canvas, in [0, 1]."""
        left, top, width, height = self.box
        return (left + x * width) / self.canvas[0], (top + y * height) / self.canvas[1]


def placement(width: int, height: int, canvas: Canvas) -> Placement:
    """For an image of this size: as wide as the canvas says, within its limits of shape."""
    aspect = min(max(width / height, canvas.tallest), canvas.widest)
    # Rounded towards the inside of the limits, so that no platform rejects 1080x565.
    tall = np.floor(canvas.width / aspect) if aspect < 1 else np.ceil(canvas.width / aspect)
    return _centred(width, height, (canvas.width, int(tall)))


def fit(image: Image, canvas: Canvas) -> Image:
    """(H, W, 3) uint8 -> (canvas height, canvas width, 3), nothing cut off."""
    height, width = image.shape[:2]
    return placement(width, height, canvas).image(image)


def _centred(width: int, height: int, canvas: tuple[int, int]) -> Placement:
    scale = min(canvas[0] / width, canvas[1] / height)
    inner = [max(1, round(side * scale)) for side in (width, height)]
    # A pixel of rounding is no margin.
    inner = [c if c - side <= 1 else side for side, c in zip(inner, canvas, strict=True)]
    left, top = ((c - side) // 2 for side, c in zip(inner, canvas, strict=True))
    return Placement(canvas, (left, top, inner[0], inner[1]))


def _backdrop(image: PIL.Image.Image, canvas: tuple[int, int]) -> PIL.Image.Image:
    """The image over the whole canvas, blurred beyond recognition and darkened."""
    small = canvas[0] // _PREVIEW, canvas[1] // _PREVIEW
    scale = max(small[0] / image.width, small[1] / image.height)
    cover = image.resize(
        (max(small[0], round(image.width * scale)), max(small[1], round(image.height * scale))),
        Resampling.BILINEAR,
        reducing_gap=2.0,
    )
    left, top = (cover.width - small[0]) // 2, (cover.height - small[1]) // 2
    cover = cover.crop((left, top, left + small[0], top + small[1]))
    dark = cover.filter(GaussianBlur(4)).point(lambda value: round(value * _DARKEN))
    return dark.resize(canvas, Resampling.BICUBIC)
