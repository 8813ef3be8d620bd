"""tint: the object in two neighbouring hues; its light and texture stay."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageOps

from models.compose.blend import toned
from models.compose.fields import ramp
from models.compose.matte import Matte
from models.compose.palette import hue, oklch
from models.compose.style import Overlay


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    first = hue(seed)
    angle = np.random.default_rng(abs(seed)).uniform(0, 2 * np.pi)
    grey = ImageOps.autocontrast(photo.convert("L"), cutoff=1, mask=matte.layer)
    near, far = (
        toned(
            grey, oklch(0.16, 0.07, h), oklch(0.42, 0.17, h), oklch(0.7, 0.19, h), (255, 252, 248)
        )
        for h in (first, first + 75)
    )
    tinted = PIL.Image.composite(far, near, ramp(photo.size, angle))
    return PIL.Image.composite(PIL.Image.blend(photo, tinted, 0.86), photo, matte.layer)


STYLE = Overlay(
    "tint",
    alt="{object} tinted {colour}",
    revision=1,
    paint=paint,
)
