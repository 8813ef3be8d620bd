"""grade: the whole picture as on film, for when there is no clear object."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from PIL import ImageChops

from models.compose.blend import faded, solid, toned
from models.compose.fields import glow, grain
from models.compose.palette import hue, oklch
from models.compose.style import Whole


def paint(photo: PIL.Image.Image, seed: int) -> PIL.Image.Image:
    rng = np.random.default_rng(abs(seed))
    # Shadows in any hue; lights stay between red and yellow, because skin does not forgive green.
    shadows, lights = hue(seed), 20 + hue(seed) / 5
    split = toned(
        photo.convert("L"),
        oklch(0.22, 0.09, shadows),
        oklch(0.6, 0.05, lights),
        oklch(0.97, 0.045, lights + 20),
    )
    graded = PIL.Image.blend(photo, split, 0.36).point(_CURVE * 3)
    corner = rng.uniform(0, 2 * math.pi)
    place = 0.5 + 0.55 * math.cos(corner), 0.5 + 0.55 * math.sin(corner)
    leak = toned(glow(photo.size, place, 0.5), (0, 0, 0), oklch(0.62, 0.19, lights))
    leaked = ImageChops.screen(graded, leak.point([round(v * 0.8) for v in range(256)] * 3))
    edges = ImageChops.invert(glow(photo.size, (0.5, 0.5), 0.8))
    shaded = PIL.Image.composite(solid(photo, (6, 4, 12)), leaked, faded(edges, 0.5))
    film = PIL.Image.merge("RGB", (grain(photo.size, rng, 14),) * 3)
    return PIL.Image.blend(shaded, ImageChops.overlay(shaded, film), 0.5)


# Lifted blacks and soft shoulders: the S of a print.
_CURVE = [
    round(12 + 236 * (v / 255 + 0.06 * math.sin((v / 255 - 0.5) * 2 * math.pi))) for v in range(256)
]


STYLE = Whole(
    "grade",
    alt="its colours changed as on film, with warm light from the side",
    revision=1,
    paint=paint,
)
