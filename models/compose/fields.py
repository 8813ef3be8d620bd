"""Generated layers: gradients, noise, dots, grain. Mode L or float32, of any size >= 1."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Resampling

Size = tuple[int, int]  # (width, height) in px


def ramp(size: Size, angle: float) -> PIL.Image.Image:
    """A linear gradient 0..255 over the whole image, rising in the direction of `angle` (rad)."""
    x, y = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64))
    along = x * math.cos(angle) + y * math.sin(angle)
    return _stretch((along / np.abs(along).max() + 1) / 2, size)


def glow(size: Size, centre: tuple[float, float], radius: float) -> PIL.Image.Image:
    """A soft light: 255 at `centre` (in [0, 1]), fading over `radius` (of the longer side)."""
    width, height = size
    x = (np.linspace(0, 1, 64) - centre[0]) * width / max(size)
    y = (np.linspace(0, 1, 64) - centre[1]) * height / max(size)
    return _stretch(np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / radius**2), size)


def noise(size: Size, rng: np.random.Generator, cells: int) -> NDArray[np.float32]:
    """Smooth noise in about [-1, 1] with `cells` bumps along the longer side. (H, W) float32."""
    columns, rows = (max(2, round(cells * side / max(size))) for side in size)
    coarse = PIL.Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    # Up in two steps: the first makes it smooth, the second is the cheap one.
    middle = coarse.resize((columns * 8, rows * 8), Resampling.BICUBIC)
    return np.array(middle.resize(size, Resampling.BILINEAR))


def lattice(size: Size, period: float, angle: float) -> NDArray[np.float32]:
    """Hills and hollows in [-1, 1] on a square grid turned by `angle` (rad). (H, W) float32."""
    step = 2 * math.pi / period
    u = _wave(size, step * math.cos(angle), step * math.sin(angle))
    u += _wave(size, -step * math.sin(angle), step * math.cos(angle))
    u *= np.float32(0.5)
    return u


def grain(size: Size, rng: np.random.Generator, strength: float) -> PIL.Image.Image:
    """Film grain around 128, mode L; a tile repeated, which nobody can see."""
    tile = np.clip(rng.normal(128, strength, (128, 128)), 0, 255).astype(np.uint8)
    width, height = size
    tiles = np.tile(tile, (-(-height // 128), -(-width // 128)))
    return PIL.Image.fromarray(np.ascontiguousarray(tiles[:height, :width]))


def _wave(size: Size, across: float, down: float) -> NDArray[np.float32]:
    """cos(across * x + down * y) from cosines of one variable: two outer products."""
    x = across * np.arange(size[0])
    y = down * np.arange(size[1])
    wave = np.outer(np.cos(y).astype(np.float32), np.cos(x).astype(np.float32))
    wave -= np.outer(np.sin(y).astype(np.float32), np.sin(x).astype(np.float32))
    return wave


def _stretch(values: NDArray[np.float64], size: Size) -> PIL.Image.Image:
    small = PIL.Image.fromarray(np.round(values * 255).astype(np.uint8))
    return small.resize(size, Resampling.BICUBIC)
