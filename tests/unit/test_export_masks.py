"""Run lengths and polygons, judged by pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter

from bot.export.masks import Drawn, box, polygons, run_lengths
from models.base import Mask
from models.images import decode, png_mask

# pycocotools 2.0 hands numpy 2 an array type without its `copy` keyword.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
coco = pytest.importorskip("pycocotools.mask", reason="pycocotools of the dev extra")


def blob(seed: int, height: int, width: int) -> Mask:
    """Smooth spots, some of them touching the border, some with holes."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    return np.asarray(gaussian_filter(noise, 9) > 0.01)


@hypothesis_settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 17), st.integers(1, 17))))
def test_run_lengths_are_those_of_pycocotools(mask: Mask) -> None:
    mine = run_lengths(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert mine == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}
    assert (coco.decode(mine) == mask).all()


@pytest.mark.parametrize(("height", "width"), [(480, 640), (301, 97)])
def test_polygons_and_run_lengths_of_photo_sized_masks(height: int, width: int) -> None:
    mask = blob(3, height, width)
    assert (coco.decode(run_lengths(mask)) == mask).all()
    outlines = polygons(mask)
    assert all(0 <= value <= max(height, width) for one in outlines for value in one)
    drawn = coco.decode(coco.merge(coco.frPyObjects(outlines, height, width))).astype(bool)
    filled = without_holes(mask)
    assert (drawn & filled).sum() / (drawn | filled).sum() > 0.97


@pytest.mark.parametrize("where", [(0, 0), (4, 6), (2, 3)])
def test_a_single_pixel_is_a_polygon(where: tuple[int, int]) -> None:
    mask = np.zeros((5, 7), dtype=np.bool_)
    mask[where] = True
    row, column = where
    (one,) = polygons(mask)
    assert (min(one[::2]), min(one[1::2])) == (column, row)
    assert (max(one[::2]), max(one[1::2])) == (column + 1, row + 1)
    assert box(mask) == (column, row, 1, 1)


def test_nothing_and_everything() -> None:
    assert polygons(np.zeros((4, 4), dtype=np.bool_)) == []
    full = np.ones((4, 6), dtype=np.bool_)
    (one,) = polygons(full)
    drawn = coco.decode(coco.merge(coco.frPyObjects([one], 4, 6)))
    assert drawn.sum() >= 22
    assert box(full) == (0, 0, 6, 4)


def test_a_mask_at_another_size() -> None:
    mask = blob(5, 200, 300)
    drawn = Drawn(mask, png_mask(mask), "v")
    assert drawn.fitted(300, 200) is drawn
    small = drawn.fitted(150, 100)
    assert small.mask.shape == (100, 150)
    assert abs(small.mask.mean() - mask.mean()) < 0.01
    assert ((decode(small.png).pixels[..., 0] >= 128) == small.mask).all()


def without_holes(mask: Mask) -> Any:
    from scipy.ndimage import binary_fill_holes

    return binary_fill_holes(mask)
