"""sticker: the object cut out with a white border, glued onto pieces of coloured paper."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageDraw
from PIL.Image import Resampling

from models.compose.blend import shadowed, solid
from models.compose.fields import grain
from models.compose.matte import Matte
from models.compose.palette import Palette
from models.compose.style import Overlay, Scene

BORDER = 15  # units
GRAIN = 6  # of 128


def paint(scene: Scene) -> PIL.Image.Image:
    ground = _papers(scene.photo, scene.palette, scene.rng, scene.unit)
    border = _border(scene.matte)
    standing = shadowed(ground, border, scene.unit, lift=14, dark=0.45)
    bordered = PIL.Image.composite(solid(ground, (255, 255, 255)), standing, border)
    return scene.on(bordered)


def _border(matte: Matte) -> PIL.Image.Image:
    """As scissors would cut it: wide enough for hair, and without its own corners."""
    return ImageChops.lighter(matte.within(BORDER, 1.5), matte.layer)


def _papers(
    like: PIL.Image.Image, palette: Palette, rng: np.random.Generator, unit: float
) -> PIL.Image.Image:
    """A sheet with three torn pieces in colours of the photo, each with a little shadow."""
    ground = solid(like, palette.tone(0.91, 0.5))
    tones = (
        palette.paper(0.72, 1.2, second=True),
        palette.paper(0.62, 1.25),
        palette.paper(0.84, 0.9, second=True),
    )
    turn = rng.uniform(0, 2 * math.pi)
    for number, colour in enumerate(tones):
        angle = turn + number * 2 * math.pi / 3 + rng.uniform(-0.3, 0.3)
        piece = _piece(like.size, angle, rng)
        ground = shadowed(ground, piece, unit, lift=8, dark=0.28)
        ground = PIL.Image.composite(solid(like, colour), ground, piece)
    paper = PIL.Image.merge("RGB", (grain(like.size, rng, GRAIN),) * 3)
    return ImageChops.overlay(ground, paper)


def _piece(size: tuple[int, int], angle: float, rng: np.random.Generator) -> PIL.Image.Image:
    """Mode L: a rounded shape that comes in from the border in the direction of `angle`."""
    width, height = size
    reach = rng.uniform(0.5, 0.62)
    x, y = (0.5 + 0.62 * math.cos(angle)) * width, (0.5 + 0.62 * math.sin(angle)) * height
    bumps = [(rng.uniform(0.05, 0.14), n, rng.uniform(0, 2 * math.pi)) for n in (2, 3, 5)]
    points = []
    for step in range(180):
        turn = step * 2 * math.pi / 180
        far = 1 + sum(high * math.sin(n * turn + start) for high, n, start in bumps)
        radius = reach * far * min(size)
        points.append((x + radius * math.cos(turn), y + radius * math.sin(turn)))
    layer = PIL.Image.new("L", size)
    ImageDraw.Draw(layer).polygon(points, fill=255)
    # Up and down once: edges without steps.
    small = layer.resize((max(1, width // 2), max(1, height // 2)), Resampling.BOX)
    return small.resize(size, Resampling.BICUBIC)


STYLE = Overlay(
    "sticker",
    alt="{object} cut out with a white border, on pieces of coloured paper",
    revision=2,
    paint=paint,
    free=True,
)
