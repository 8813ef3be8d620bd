"""facets: the object as cut stone, in triangles of its own colours."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageEnhance
from scipy import ndimage
from scipy.spatial import Delaunay

from models.compose.blend import solid
from models.compose.matte import Matte
from models.compose.palette import hue, oklch
from models.compose.style import Overlay

CELL = 44  # units between corners
SHARE = 0.16  # of the seed's hue in the shaded facets


def paint(photo: PIL.Image.Image, matte: Matte, seed: int) -> PIL.Image.Image:
    rng = np.random.default_rng(abs(seed))
    corners = _corners(photo, max(CELL * matte.unit, 2.0), rng)
    triangles = corners[Delaunay(corners).simplices]  # (n, 3 corners, xy)
    columns, rows = triangles.mean(axis=1).astype(int).T
    rows, columns = rows.clip(0, photo.height - 1), columns.clip(0, photo.width - 1)
    triangles = triangles[matte.distance[rows, columns] < 2 * CELL * matte.unit]
    colours = _colours(photo, triangles, rng)
    canvas = PIL.Image.new("RGB", (2 * photo.width, 2 * photo.height))
    draw = ImageDraw.Draw(canvas)
    for triangle, colour in zip((triangles * 2).tolist(), colours.tolist(), strict=True):
        draw.polygon([tuple(corner) for corner in triangle], fill=tuple(colour))
    stone = ImageEnhance.Color(canvas.reduce(2)).enhance(1.35)
    tinted = PIL.Image.blend(stone, solid(photo, oklch(0.6, 0.2, hue(seed))), SHARE)
    return PIL.Image.composite(tinted, photo, matte.layer)


def _corners(photo: PIL.Image.Image, cell: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A jittered grid beyond the image on all sides, and more corners where there is detail.

    (n, 2) x, y in px.
    """
    x, y = (np.arange(-1.0, side / cell + 2) for side in photo.size)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    grid += rng.uniform(-0.42, 0.42, grid.shape)
    step = max(1, round(cell / 5))
    grey = np.asarray(photo.convert("L").reduce(step), dtype=np.float64)
    detail = ndimage.gaussian_gradient_magnitude(grey, 1.0).ravel() + 1e-9
    places = rng.choice(detail.size, min(2 * len(grid), detail.size), p=detail / detail.sum())
    rows, columns = np.divmod(places, grey.shape[1])
    edges = np.stack([columns, rows], axis=-1) + rng.uniform(0, 1, (len(places), 2))
    corners: NDArray[np.float64] = np.concatenate([grid * cell, edges * step])
    return corners


def _colours(
    photo: PIL.Image.Image, triangles: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The photo's colour around the middle of each triangle, lit a little differently each."""
    step = max(1, round(min(photo.size) / 200))
    small = np.asarray(photo.reduce(step), dtype=np.float32)
    middle = (triangles.mean(axis=1) / step).astype(int)
    columns = middle[:, 0].clip(0, small.shape[1] - 1)
    rows = middle[:, 1].clip(0, small.shape[0] - 1)
    light = 1 + rng.uniform(-0.09, 0.09, (len(middle), 1))
    colours: NDArray[np.uint8] = (small[rows, columns] * light).clip(0, 255).astype(np.uint8)
    return colours


STYLE = Overlay(
    "facets",
    alt="{object} turned into triangles like cut stone",
    revision=1,
    paint=paint,
)
