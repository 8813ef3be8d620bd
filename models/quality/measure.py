"""Measurements of every image: cheap numbers, on which thresholds are set.

All except size and aspect are measured at one size (the longer side at most `SIDE` px), so that one
photo gives the same numbers in every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from models.base import Image
from models.quality.duplicate import thumbnail
from models.quality.phash import phash

VERSION = "1"  # a change makes every stored image be measured again
SIDE = 512
_STRIP = (
    2_000_000  # pixels that are reduced at a time, so that a large image is not in memory twice
)
_TILES = 4
_FLAT, _EDGE = 2, 24  # steps between neighbours, of 255


@dataclass(frozen=True, slots=True)
class Measured:
    """`scores`: sharpness, brightness, information, side, aspect, frames, screenshot."""

    scores: dict[str, float]
    phash: int  # signed, 64 bits
    thumbnail: bytes  # grey, duplicate.SIDE²


def measure(pixels: Image, frames: int = 1) -> Measured:
    """Measure an image of at least one pixel. Deterministic.

    - sharpness: variance of the Laplacian (grey, 0..255) of the sharpest of 16 tiles, so that a
      blurred background does not count; Pech-Pacheco et al., "Diatom autofocusing" (2000)
    - brightness: mean grey, 0 (black) .. 1 (white)
    - information: entropy of the grey values, 0 (one colour) .. 8 bits
    - side: shorter side in px; aspect: longer over shorter side, at least 1
    - frames: of an animation; 1 for a still
    - screenshot: 0..1, see `screenshot`
    """
    height, width = pixels.shape[:2]
    grey = np.asarray(_normalised(pixels).convert("L"))
    scores = {
        "sharpness": sharpness(grey),
        "brightness": float(grey.mean()) / 255,
        "information": information(grey),
        "side": float(min(height, width)),
        "aspect": max(height, width) / min(height, width),
        "frames": float(frames),
        "screenshot": screenshot(grey),
    }
    rounded = {name: round(value, 4) for name, value in scores.items()}
    return Measured(rounded, phash(grey), thumbnail(grey))


def sharpness(grey: NDArray[np.uint8]) -> float:
    """(H, W) uint8 -> variance of the Laplacian of the sharpest tile; 0 for one colour."""
    around = np.pad(grey, 1, mode="edge").astype(np.int16)
    laplacian = (
        around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    ) - 4 * around[1:-1, 1:-1]
    rows = np.array_split(laplacian, min(_TILES, grey.shape[0]), axis=0)
    tiles = [t for row in rows for t in np.array_split(row, min(_TILES, grey.shape[1]), axis=1)]
    return max(float(tile.var()) for tile in tiles)


def information(grey: NDArray[np.uint8]) -> float:
    """(H, W) uint8 -> entropy of its histogram, 0..8 bits."""
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    share = share[share > 0]
    return float(abs(-(share * np.log2(share)).sum()))


def screenshot(grey: NDArray[np.uint8]) -> float:
    """(H, W) uint8 -> 0..1: large flat areas, and edges that run straight across or down.

    The product of the two shares. Photos have texture and edges in every direction. A photo on a
    white background is flat, but its edges are not straight. A heuristic that does not read text.
    """
    if min(grey.shape) < 3:
        return 0.0
    values = grey.astype(np.int16)
    right = np.abs(np.diff(values, axis=1))[:-1]
    down = np.abs(np.diff(values, axis=0))[:, :-1]
    steepest = np.maximum(right, down)
    flat = float((steepest <= _FLAT).mean())
    edges = steepest >= _EDGE
    if not edges.any():
        return 0.0
    straight = np.minimum(right, down)[edges] * 8 <= steepest[edges]
    return flat * float(straight.mean())


def _normalised(pixels: Image) -> PIL.Image.Image:
    """(H, W, 3) uint8 with the longer side at most SIDE, each pixel the mean of those it covers."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    image = _reduced(pixels, longest // (2 * SIDE))
    if longest <= SIDE:
        return image
    size = (max(1, round(width * SIDE / longest)), max(1, round(height * SIDE / longest)))
    return image.resize(size, PIL.Image.Resampling.BOX)


def _reduced(pixels: Image, factor: int) -> PIL.Image.Image:
    """Reduce by a whole factor, in strips."""
    if factor <= 1:
        return PIL.Image.fromarray(pixels)
    height, width = pixels.shape[:2]
    rows = max(1, _STRIP // (width * factor)) * factor
    strips = [
        np.asarray(PIL.Image.fromarray(pixels[top : top + rows]).reduce(factor))
        for top in range(0, height, rows)
    ]
    return PIL.Image.fromarray(np.concatenate(strips))
