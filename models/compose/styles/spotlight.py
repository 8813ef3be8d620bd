"""spotlight: the surroundings step back into a dim blur, the object stands in the light."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageEnhance, ImageFilter
from PIL.Image import Resampling

from models.compose.blend import faded, solid, toned
from models.compose.matte import Matte, to_layer
from models.compose.palette import hue, oklch
from models.compose.style import Overlay


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    degrees = hue(seed)
    blurred = _surroundings(photo, matte)
    grey = toned(blurred.convert("L"), (4, 4, 10), oklch(0.45, 0.05, degrees), (235, 235, 240))
    dim = PIL.Image.blend(blurred, grey, 0.7).point([round(v * 0.5) for v in range(256)] * 3)
    halo = to_layer(np.exp(matte.distance.clip(0) * np.float32(-1 / (110 * matte.unit))))
    light = oklch(0.8, 0.09, degrees)
    haloed = PIL.Image.composite(solid(photo, light), dim, faded(halo, 0.34))
    lit = ImageEnhance.Color(photo.point(_LIFT * 3)).enhance(1.12)
    return PIL.Image.composite(lit, haloed, matte.layer)


_LIFT = [round(255 * (value / 255) ** 0.88) for value in range(256)]


def _surroundings(photo: PIL.Image.Image, matte: Matte) -> PIL.Image.Image:
    """The background, blurred as if the object were not there: no halo of its colours."""
    step = max(1, round(6 * matte.unit))
    small = np.asarray(photo.reduce(step), dtype=np.float32)
    weight = 1 - np.asarray(matte.within(10).reduce(step), dtype=np.float32) / 255
    blur = ImageFilter.GaussianBlur(14 * matte.unit / step)
    weighted = PIL.Image.fromarray(np.round(small * weight[..., None]).astype(np.uint8))
    spread = np.asarray(to_layer(weight).filter(blur), dtype=np.float32)[..., None] / 255
    total = np.asarray(weighted.filter(blur), dtype=np.float32)
    clear = np.clip(total / np.maximum(spread, 0.02), 0, 255).astype(np.uint8)
    return PIL.Image.fromarray(clear).resize(photo.size, Resampling.BICUBIC)


STYLE = Overlay(
    "spotlight",
    alt="{object} in the light and its surroundings dimmed",
    revision=1,
    paint=paint,
)
