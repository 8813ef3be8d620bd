"""pop: the surroundings printed in two colours of halftone, the object in full colour."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from PIL import ImageEnhance, ImageOps

from models.compose.blend import soft, solid, toned
from models.compose.fields import lattice, ramp
from models.compose.matte import Matte, to_layer
from models.compose.palette import hue, oklch
from models.compose.style import Overlay

PERIOD = 15  # units from dot to dot
BORDER = 7  # units


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    rng = np.random.default_rng(abs(seed))
    degrees = hue(seed)
    grey = ImageOps.autocontrast(soft(photo.convert("L"), 4 * matte.unit), cutoff=2)
    dots = lattice(photo.size, max(PERIOD * matte.unit, 2.0), math.radians(rng.uniform(30, 60)))
    dots += np.float32(0.72) - np.asarray(grey, dtype=np.float32) * np.float32(1.5 / 255)
    dots *= np.float32(max(PERIOD * matte.unit / 4, 1.0))
    dots += np.float32(0.5)
    slope = ramp(photo.size, rng.uniform(0, 2 * math.pi))
    paper = toned(slope, oklch(0.9, 0.12, degrees + 150), oklch(0.86, 0.14, degrees + 190))
    ink = toned(slope, oklch(0.45, 0.2, degrees), oklch(0.52, 0.22, degrees + 25))
    printed = PIL.Image.composite(ink, paper, to_layer(dots))
    framed = PIL.Image.composite(solid(photo, (255, 255, 255)), printed, matte.within(BORDER, 1.5))
    return PIL.Image.composite(ImageEnhance.Color(photo).enhance(1.25), framed, matte.layer)


STYLE = Overlay(
    "pop",
    alt="{object} in full colour before a {colour} halftone print",
    revision=1,
    paint=paint,
)
