"""spotlight: the surroundings step back into a soft blur, a drawn line follows the object."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageFilter
from PIL.Image import Resampling

from models.compose.blend import faded, solid, toned
from models.compose.matte import Matte, to_layer
from models.compose.style import Overlay, Scene

LINE, GAP = 3.2, 17  # units: half the width of the line, and how far from the object it runs


def paint(scene: Scene) -> PIL.Image.Image:
    colours, matte, photo = scene.palette, scene.matte, scene.photo
    blurred = _surroundings(photo, matte)
    inked = toned(blurred.convert("L"), colours.tone(0.22, 0.6), colours.tone(0.55, 1.0))
    dim = PIL.Image.blend(blurred.point([round(v * 0.66) for v in range(256)] * 3), inked, 0.6)
    halo = to_layer(np.exp(matte.distance.clip(0) * np.float32(-1 / (150 * matte.unit))))
    haloed = PIL.Image.composite(solid(photo, colours.tone(0.8, 0.9)), dim, faded(halo, 0.5))
    line = ImageChops.subtract(matte.within(GAP + LINE, 1.5), matte.within(GAP - LINE, 1.5))
    drawn = PIL.Image.composite(solid(photo, colours.other(0.95, 0.5)), haloed, line)
    return scene.on(drawn)


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
    alt="{object} in the light, with a line drawn around it",
    revision=2,
    paint=paint,
)
