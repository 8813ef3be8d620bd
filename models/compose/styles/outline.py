"""outline: a neon line around the object; everything else stays as it is."""

from __future__ import annotations

import PIL.Image
from PIL import ImageChops

from models.compose.blend import faded, solid
from models.compose.matte import Matte, to_layer
from models.compose.palette import hue, oklch
from models.compose.style import Overlay

REACH = 80  # units from the contour beyond which nothing changes


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    degrees = hue(seed)
    # A darker rim first: without it, neon cannot be seen on a bright wall.
    falloff = _falloff(matte)
    shaded = PIL.Image.composite(solid(photo, (0, 0, 0)), photo, faded(falloff, 0.5))
    light = PIL.Image.merge("RGB", (falloff,) * 3).point([v * v // 255 for v in range(256)] * 3)
    lit = ImageChops.screen(
        shaded, ImageChops.multiply(light, solid(photo, oklch(0.62, 0.24, degrees)))
    )
    tube = PIL.Image.composite(solid(photo, oklch(0.72, 0.2, degrees)), lit, _line(matte, 6.5))
    return PIL.Image.composite(solid(photo, oklch(0.97, 0.03, degrees)), tube, _line(matte, 2.2))


def _line(matte: Matte, half_width: float) -> PIL.Image.Image:
    outer, inner = matte.within(5 + half_width, 1.5), matte.within(5 - half_width, 1.5)
    return ImageChops.subtract(outer, inner)


def _falloff(matte: Matte) -> PIL.Image.Image:
    """255 on the line, 0 from `REACH` on; steeper towards the inside of the object."""
    outside = to_layer(1 - matte.distance / (REACH * matte.unit))
    inside = to_layer(1 + matte.distance / (0.35 * REACH * matte.unit))
    both = ImageChops.darker(outside, inside)
    return both.point([round(255 * (value / 255) ** 2) for value in range(256)])


STYLE = Overlay(
    "outline",
    alt="a glowing {colour} line around {object}",
    revision=1,
    paint=paint,
)
