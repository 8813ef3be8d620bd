"""pattern: the object engraved in flowing lines whose width follows its light."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from models.compose.blend import soft, toned
from models.compose.fields import noise, ramp
from models.compose.matte import Matte, to_layer
from models.compose.palette import hue, oklch
from models.compose.style import Overlay

PERIOD = 12  # units from line to line


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    rng = np.random.default_rng(abs(seed))
    grey = ImageOps.autocontrast(photo.convert("L"), cutoff=1, mask=matte.layer)
    grey = soft(grey, 1.5 * matte.unit)  # or the grain of the photo frays the lines
    light = np.asarray(grey, dtype=np.float32) / np.float32(255)
    phase = _course(photo.size, matte, rng)
    phase += light * np.float32(0.55 * PERIOD)  # lines climb over bright parts, like a relief
    phase *= np.float32(2 * math.pi / PERIOD)
    line = np.sin(phase, out=phase)
    line += np.float32(0.85) - np.float32(1.7) * light  # dark: broad lines, bright: thin ones
    line *= np.float32(max(PERIOD * matte.unit / 2 / math.pi, 0.5))
    line += np.float32(0.5)
    ink = to_layer(line)

    degrees = hue(seed)
    slope = ramp(photo.size, rng.uniform(0, 2 * math.pi))
    paper = toned(slope, oklch(0.95, 0.045, degrees + 120), oklch(0.95, 0.05, degrees + 60))
    colour = toned(slope, oklch(0.4, 0.2, degrees), oklch(0.5, 0.2, degrees + 60))
    engraved = PIL.Image.composite(colour, paper, ink)
    return PIL.Image.composite(PIL.Image.blend(engraved, photo, 0.16), photo, matte.layer)


def _course(size: tuple[int, int], matte: Matte, rng: np.random.Generator) -> NDArray[np.float32]:
    """How far along (in units) each pixel is, across the lines: straight or in rings, wavering."""
    unit = matte.unit
    x, y = (np.arange(side, dtype=np.float32) / np.float32(unit) for side in size)
    if rng.integers(3):
        angle = rng.uniform(0, math.pi)
        base = np.float32(math.cos(angle)) * x[None, :] + np.float32(math.sin(angle)) * y[:, None]
    else:
        centre = rng.uniform(0.2, 0.8, 2)
        x, y = x - np.float32(centre[0]) * x[-1], y - np.float32(centre[1]) * y[-1]
        base = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    base += noise(size, rng, 6) * np.float32(38)
    course: NDArray[np.float32] = base
    return course


STYLE = Overlay(
    "pattern",
    alt="{object} engraved in {colour} lines",
    revision=1,
    paint=paint,
)
