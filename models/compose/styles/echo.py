"""echo: the object before layers of cut paper, each of which repeats its outline."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageChops
from scipy import ndimage

from models.compose.blend import shifted
from models.compose.matte import Matte, to_layer
from models.compose.palette import Colour, Palette, oklch, unbrowned
from models.compose.style import Overlay, Scene

FIRST = 26  # units: how wide the layer next to the object is
GROWTH = 1.42  # of each layer over the one inside of it
LAYERS = 7
FADE, DARK = 9, 0.34  # units over which a shadow fades, and how dark it begins
_FINE = 4  # table entries a unit


def paint(scene: Scene) -> PIL.Image.Image:
    far = _rounded(scene.matte)
    edges = FIRST * scene.rng.uniform(0.85, 1.2) * (GROWTH ** np.arange(LAYERS)).cumsum()
    colours = _colours(edges, scene.palette, scene.unit)
    places = (far * np.float32(_FINE)).clip(0, len(colours) - 1).astype(np.uint16)
    coloured = PIL.Image.fromarray(colours[places])
    # Light falls from above, so a layer's shadow lies lower than the layer.
    above = shifted(far, round(6 * scene.unit), round(12 * scene.unit))
    above -= _edges_before(edges, len(colours))[places]
    np.maximum(above, 0, out=above)
    above *= np.float32(-1 / FADE)
    light = to_layer(1 - np.float32(DARK) * np.exp(above, out=above))
    return scene.on(ImageChops.multiply(coloured, PIL.Image.merge("RGB", (light,) * 3)))


def _rounded(matte: Matte) -> NDArray[np.float32]:
    """Distance in units, rounder with every step away from the object, as an echo is."""
    height, width = matte.distance.shape
    step = max(1, round(6 * matte.unit))
    small = matte.distance[::step, ::step] / np.float32(matte.unit)
    softer = ndimage.gaussian_filter(small, 26 * matte.unit / step, mode="nearest")
    part = np.clip((small - 20) / 160, 0, 1)
    rounded = small + part * (softer - small)
    layer = PIL.Image.fromarray(np.ascontiguousarray(rounded, dtype=np.float32))
    size = (small.shape[1] * step, small.shape[0] * step)
    return np.array(layer.resize(size, PIL.Image.Resampling.BICUBIC))[:height, :width]


def _colours(edges: NDArray[np.float64], palette: Palette, unit: float) -> NDArray[np.uint8]:
    """(n, 3): the layer's colour by distance; an edge is as soft as a pixel is wide."""
    near, far = (0.4, 0.88) if palette.light_object else (0.95, 0.52)
    turn = (palette.second - palette.hue + 180) % 360 - 180
    turn = min(max(turn, -80.0), 80.0)  # further would pass through colours that fit neither
    layers = np.array(
        [
            _paper(palette, near + (far - near) * step, palette.hue + turn * step, step)
            for step in np.linspace(0, 1, LAYERS + 1).tolist()
        ],
        dtype=np.float32,
    )
    places = np.arange(round((edges[-1] + 40) * _FINE)) / _FINE
    width = max(1.2, 1 / max(unit, 1e-3))
    coloured = np.repeat(layers[:1], len(places), axis=0)
    for edge, before, after in zip(edges, layers, layers[1:], strict=False):
        part = np.clip((places - edge) / width + 0.5, 0, 1)[:, None]
        coloured += part * (after - before)
    return coloured.round().astype(np.uint8)


def _paper(palette: Palette, lightness: float, degrees: float, step: float) -> Colour:
    """The middle layers are the most colourful. `step`: from the object (0) outwards (1)."""
    strength = 0.4 + 0.95 * math.sin(math.pi * min(step + 0.15, 1.0) / 1.5)
    return oklch(unbrowned(lightness, degrees), palette.chroma * strength, degrees)


def _edges_before(edges: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """(n,): by distance, how far out the layer ends that lies above."""
    starts = np.concatenate([[0.0], edges])
    places = np.arange(count) / _FINE
    return starts[np.searchsorted(edges, places, side="right")].astype(np.float32)


STYLE = Overlay(
    "echo",
    alt="{object} before layers of paper that repeat its outline",
    revision=1,
    paint=paint,
    free=True,
)
