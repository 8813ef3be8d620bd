"""sticker: the object cut out with a white border, on a generated backdrop."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from PIL import ImageDraw

from models.compose.blend import faded, soft, solid, toned
from models.compose.fields import glow, lattice, ramp
from models.compose.matte import Matte, to_layer
from models.compose.palette import hue, oklch
from models.compose.style import Overlay

BORDER = 13  # units


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    rng = np.random.default_rng(abs(seed))
    backdrop = _backdrop(photo.size, matte, hue(seed), rng)
    border = matte.within(BORDER, 1.5)
    shift = max(1, round(10 * matte.unit))
    left, top = -(shift // 2), -shift
    moved = border.crop((left, top, left + border.width, top + border.height))
    shadow = faded(soft(moved, 16 * matte.unit), 0.5)
    shaded = PIL.Image.composite(solid(photo, (8, 8, 24)), backdrop, shadow)
    bordered = PIL.Image.composite(solid(photo, (255, 255, 255)), shaded, border)
    return PIL.Image.composite(photo, bordered, matte.layer)


def _backdrop(
    size: tuple[int, int], matte: Matte, degrees: float, rng: np.random.Generator
) -> PIL.Image.Image:
    ground = toned(
        ramp(size, rng.uniform(0, 2 * math.pi)),
        oklch(0.7, 0.17, degrees),
        oklch(0.83, 0.15, degrees + 45),
    )
    lighter = toned(
        ramp(size, rng.uniform(0, 2 * math.pi)),
        oklch(0.8, 0.14, degrees + 10),
        oklch(0.92, 0.1, degrees + 60),
    )
    shape = (_rays, _dots, _waves)[int(rng.integers(3))]
    drawn = PIL.Image.composite(lighter, ground, shape(size, matte, rng))
    centre = _centre(matte)
    return PIL.Image.composite(
        solid(drawn, (255, 255, 255)), drawn, faded(glow(size, centre, 0.45), 0.35)
    )


def _centre(matte: Matte) -> tuple[float, float]:
    """The object's centre of gravity, in [0, 1]."""
    coarse = matte.alpha[::8, ::8]
    total = float(coarse.sum()) or 1.0
    x = float(coarse.sum(axis=0) @ np.linspace(0, 1, coarse.shape[1])) / total
    y = float(coarse.sum(axis=1) @ np.linspace(0, 1, coarse.shape[0])) / total
    return x, y


def _rays(size: tuple[int, int], matte: Matte, rng: np.random.Generator) -> PIL.Image.Image:
    """Sunbeams from behind the object, drawn twice as large for smooth edges."""
    width, height = size
    x, y = (2 * side * part for side, part in zip(size, _centre(matte), strict=True))
    layer = PIL.Image.new("L", (2 * width, 2 * height))
    draw = ImageDraw.Draw(layer)
    count, turn, far = int(rng.integers(11, 16)), rng.uniform(0, 1), 4 * (width + height)
    for beam in range(count):
        edges = [(beam + turn + side) * 2 * math.pi / count for side in (0, 0.5)]
        draw.polygon(
            [(x, y), *((x + far * math.cos(a), y + far * math.sin(a)) for a in edges)], fill=255
        )
    return layer.reduce(2)


def _dots(size: tuple[int, int], matte: Matte, rng: np.random.Generator) -> PIL.Image.Image:
    """Dots that grow along a direction."""
    period = 46 * matte.unit
    hills = lattice(size, period, math.pi / 4)
    growth = np.asarray(ramp(size, rng.uniform(0, 2 * math.pi)), dtype=np.float32)
    hills += growth * np.float32(1.3 / 255) - np.float32(0.9)
    hills *= np.float32(period / 4)
    return to_layer(hills)


def _waves(size: tuple[int, int], matte: Matte, rng: np.random.Generator) -> PIL.Image.Image:
    width, height = size
    unit = max(matte.unit, 1e-3)
    x, y = np.arange(width) / unit, np.arange(height) / unit
    swing = 34 * np.sin(x / rng.uniform(90, 130) + rng.uniform(0, 6))
    phase = (y[:, None] + swing[None, :]).astype(np.float32) * np.float32(2 * math.pi / 110)
    wave: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = np.sin(phase, out=phase)
    wave *= np.float32(110 / 2 / math.pi * unit)
    return to_layer(wave)


STYLE = Overlay(
    "sticker",
    alt="{object} cut out like a sticker on a {colour} backdrop",
    revision=1,
    paint=paint,
)
