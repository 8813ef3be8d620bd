"""halftone: the surroundings printed in dots of one ink, the object in full colour."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from PIL import ImageOps

from models.compose.blend import shadowed, soft, solid
from models.compose.fields import lattice
from models.compose.matte import to_layer
from models.compose.style import Overlay, Scene

PERIOD = 17  # units from dot to dot
BORDER = 9  # units


def paint(scene: Scene) -> PIL.Image.Image:
    colours, unit = scene.palette, scene.unit
    grey = ImageOps.autocontrast(soft(scene.photo.convert("L"), 5 * unit), cutoff=2)
    period = max(PERIOD * unit, 2.0)
    dots = lattice(scene.photo.size, period, math.radians(scene.rng.uniform(35, 55)))
    # Never all ink and never all paper: a print that still looks like one.
    dots += np.float32(0.35) - np.asarray(grey, dtype=np.float32) * np.float32(1.05 / 255)
    dots *= np.float32(max(period / 4, 1.0))
    dots += np.float32(0.5)
    paper = solid(scene.photo, colours.other(0.92, 0.6))
    ink = solid(scene.photo, colours.tone(0.58, 1.35))
    printed = PIL.Image.composite(ink, paper, to_layer(dots))
    border = scene.matte.within(BORDER, 1.5)
    standing = shadowed(printed, border, unit, lift=9, dark=0.35)
    framed = PIL.Image.composite(solid(printed, (255, 255, 255)), standing, border)
    return scene.on(framed)


STYLE = Overlay(
    "halftone",
    alt="{object} in full colour before a print in coloured dots",
    revision=1,
    paint=paint,
)
