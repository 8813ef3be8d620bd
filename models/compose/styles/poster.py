"""poster: the object on a plain ground before a large disc, like a poster of two colours."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageChops, ImageDraw

from models.compose.blend import shadowed, solid
from models.compose.fields import grain
from models.compose.matte import Matte
from models.compose.style import Overlay, Scene

GRAIN = 7  # of 128


def paint(scene: Scene) -> PIL.Image.Image:
    colours = scene.palette
    light = colours.light_object
    ground = solid(scene.photo, colours.paper(0.52 if light else 0.91, 1.05 if light else 0.6))
    disc, ring = _round(scene.photo.size, scene.matte, scene.rng)
    inner = colours.paper(0.66 if light else 0.75, 1.3, second=True)
    drawn = PIL.Image.composite(solid(ground, inner), ground, disc)
    line = colours.tone(0.94, 0.4) if light else colours.paper(0.56, 1.2)
    drawn = PIL.Image.composite(solid(ground, line), drawn, ring)
    paper = PIL.Image.merge("RGB", (grain(drawn.size, scene.rng, GRAIN),) * 3)
    printed = ImageChops.overlay(drawn, paper)
    return scene.on(shadowed(printed, scene.matte.layer, scene.unit, lift=16, dark=0.35))


def _round(
    size: tuple[int, int], matte: Matte, rng: np.random.Generator
) -> tuple[PIL.Image.Image, PIL.Image.Image]:
    """A disc behind the upper part of the object, and a ring around it; mode L."""
    rows, columns = (np.flatnonzero((matte.alpha > 0.5).any(axis=axis)) for axis in (1, 0))
    width, height = size
    left, right = (columns[0], columns[-1]) if columns.size else (0, width)
    top, bottom = (rows[0], rows[-1]) if rows.size else (0, height)
    tall, wide = bottom - top, right - left
    radius = float(np.clip(0.44 * max(wide, 0.72 * tall), 0.24 * min(size), 0.44 * min(size)))
    x = (left + right) / 2 + rng.uniform(-0.12, 0.12) * wide
    # Behind the head of what is tall, behind the middle of what is wide.
    y = top + (0.5 * tall if wide > 0.8 * tall else max(0.33 * tall, 0.75 * radius))
    x = float(np.clip(x, min(radius, width / 2), max(width - radius, width / 2)))
    edge = 2 * matte.unit + 0.5
    return (
        _circle(size, x, y, radius, None),
        _circle(size, x, y, radius + 26 * matte.unit, 2 * edge),
    )


def _circle(
    size: tuple[int, int], x: float, y: float, radius: float, line: float | None
) -> PIL.Image.Image:
    """Drawn twice as large, for smooth edges. `line`: its width, else it is filled."""
    layer = PIL.Image.new("L", (2 * size[0], 2 * size[1]))
    box = tuple(2 * value for value in (x - radius, y - radius, x + radius, y + radius))
    draw = ImageDraw.Draw(layer)
    if line is None:
        draw.ellipse(box, fill=255)
    else:
        draw.ellipse(box, outline=255, width=max(1, round(2 * line)))
    return layer.reduce(2)


STYLE = Overlay(
    "poster",
    alt="{object} before a disc of colour, as on a poster",
    revision=1,
    paint=paint,
    free=True,
)
