"""Runs, run lengths and polygons of masks, judged by pycocotools and scipy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from bot.dataset.export.masks import Drawn
from bot.dataset.export.outlines import TOLERANCE, polygons
from bot.dataset.export.runs import RunLengths
from models.base import Mask
from models.images.codec import decode, png_mask

# pycocotools 2.0 hands numpy 2 an array type without its `copy` keyword.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
coco = pytest.importorskip("pycocotools.mask", reason="pycocotools of the dev extra")
SMALL = arrays.arrays(np.bool_, st.tuples(st.integers(1, 17), st.integers(1, 17)))
BLANK = np.zeros((90, 120), dtype=np.bool_)


def blob(seed: int, height: int, width: int) -> Mask:
    """Smooth spots, some of them touching the border, some with holes."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    return np.asarray(gaussian_filter(noise, 9) > 0.01)


def having(*places: tuple[slice, slice], holes: tuple[tuple[slice, slice], ...] = ()) -> Mask:
    mask = BLANK.copy()
    for place in places:
        mask[place] = True
    for hole in holes:
        mask[hole] = False
    return mask


def outlines(mask: Mask) -> list[list[float]]:
    return polygons(RunLengths.of(mask))


def drawn(found: list[list[float]], mask: Mask) -> Mask:
    """The polygons as pixels."""
    return np.asarray(coco.decode(coco.merge(coco.frPyObjects(found, *mask.shape))), dtype=np.bool_)


def likeness(mask: Mask) -> float:
    """IoU of its polygons and of what they stand for, the mask without holes."""
    mine, filled = drawn(outlines(mask), mask), binary_fill_holes(mask)
    return float((mine & filled).sum() / (mine | filled).sum())


def corners(polygon: list[float]) -> set[tuple[float, float]]:
    return set(zip(polygon[::2], polygon[1::2], strict=True))


@hypothesis_settings(max_examples=100)
@given(SMALL)
def test_run_lengths_are_those_of_pycocotools(mask: Mask) -> None:
    runs = RunLengths.of(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert runs.rle == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}
    assert (coco.decode(runs.rle) == mask).all()
    assert runs.area == coco.area(theirs)
    if mask.any():
        assert list(runs.box) == coco.toBbox(theirs).tolist()


@hypothesis_settings(max_examples=100)
@given(SMALL)
def test_every_part_has_its_polygon(mask: Mask) -> None:
    """Parts whose pixels touch at a corner only are two, as for scipy; holes have none."""
    found = outlines(mask)
    parts, count = label(mask)
    assert len(found) == count
    height, width = mask.shape
    for polygon in found:
        assert len(polygon) >= 6
        assert all(0 <= x <= width and 0 <= y <= height for x, y in corners(polygon))
        inside = [near(parts, x, y) for x, y in corners(polygon)]
        assert set.intersection(*inside), "its corners lie along one part"


def near(parts: Any, x: float, y: float) -> set[int]:
    """Parts with a pixel around a corner, or on a side of the middle of an edge."""
    rows, columns = ({int(np.ceil(v)) - 1, int(np.floor(v))} for v in (y, x))
    found = set()
    for row, column in itertools.product(rows, columns):
        if 0 <= row < parts.shape[0] and 0 <= column < parts.shape[1] and parts[row, column]:
            found.add(int(parts[row, column]))
    return found


@pytest.mark.parametrize(("height", "width"), [(480, 640), (301, 97)])
def test_polygons_and_run_lengths_of_photo_sized_masks(height: int, width: int) -> None:
    mask = blob(3, height, width)
    assert (coco.decode(RunLengths.of(mask).rle) == mask).all()
    assert likeness(mask) > 0.97


def test_no_point_of_the_outline_is_far_from_the_polygon() -> None:
    rows, columns = np.mgrid[:300, :400]
    angle = np.arctan2(rows - 150, columns - 200)
    mask = np.hypot(rows - 150, columns - 200) < 100 + 12 * np.sin(9 * angle)
    (polygon,) = outlines(mask)
    points = np.array(polygon).reshape(-1, 2) @ [1, 1j]
    ends = np.roll(points, -1)
    y, x = np.nonzero(mask[1:] != mask[:-1])
    middles = x + 0.5 + 1j * (y + 1)
    along = ((middles[:, None] - points) / (ends - points)).real.clip(0, 1)
    away = abs(middles[:, None] - points - along * (ends - points)).min(axis=1)
    assert away.max() <= TOLERANCE + 1e-9
    assert len(points) < len(middles) / 5


def test_several_objects_each_with_its_outline() -> None:
    mask = having(np.s_[5:25, 10:40], np.s_[5:25, 60:100], np.s_[50:80, 30:90])
    found = sorted(outlines(mask), key=lambda one: (min(one[1::2]), min(one[::2])))
    boxes = [(min(p[::2]), min(p[1::2]), max(p[::2]), max(p[1::2])) for p in found]
    right = [(10, 5, 40, 25), (60, 5, 100, 25), (30, 50, 90, 80)]
    assert np.abs(np.subtract(boxes, right)).max() <= TOLERANCE
    assert likeness(mask) > 0.97
    runs = RunLengths.of(mask)
    assert runs.box == (10, 5, 90, 75)
    assert runs.area == mask.sum()


def test_a_ring_that_begins_at_a_peg_has_no_corner_twice() -> None:
    mask = having(np.s_[40:45, 10:11], np.s_[10:80, 11:60])
    (one,) = outlines(mask)
    assert 2 * len(corners(one)) == len(one)
    assert likeness(mask) > 0.97


def test_holes_are_filled_and_what_lies_in_them_is_a_part() -> None:
    ring = np.s_[10:80, 10:110]
    hole, island = np.s_[20:70, 20:100], np.s_[40:50, 50:70]
    mask = having(ring, holes=(hole,))
    assert len(outlines(mask)) == 1
    assert likeness(mask) > 0.98
    mask[island] = True
    assert len(outlines(mask)) == 2
    runs = RunLengths.of(mask)
    assert (coco.decode(runs.rle) == mask).all()
    assert runs.area == 70 * 100 - 50 * 80 + 10 * 20


@pytest.mark.parametrize("place", [np.s_[3:4, 7:40], np.s_[9:60, 5:6], np.s_[0:1, 0:120]])
def test_what_is_thin_keeps_its_corners(place: tuple[slice, slice]) -> None:
    (one,) = outlines(having(np.s_[40:80, 50:100], place))[:1]
    rows, columns = place
    assert corners(one) >= set(
        itertools.product((columns.start, columns.stop), (rows.start, rows.stop))
    )


@pytest.mark.parametrize("where", [(0, 0), (4, 6), (2, 3)])
def test_a_single_pixel_is_a_polygon(where: tuple[int, int]) -> None:
    mask = np.zeros((5, 7), dtype=np.bool_)
    mask[where] = True
    row, column = where
    (one,) = outlines(mask)
    assert corners(one) == set(itertools.product((column, column + 1), (row, row + 1)))
    assert len(one) == 8
    assert RunLengths.of(mask).box == (column, row, 1, 1)
    assert RunLengths.of(mask).area == 1


def test_nothing_and_everything() -> None:
    nothing = RunLengths.of(BLANK)
    assert polygons(nothing) == []
    assert nothing.area == 0
    assert not coco.decode(nothing.rle).any()
    full = RunLengths.of(np.ones((90, 120), dtype=np.bool_))
    assert (full.box, full.area) == ((0, 0, 120, 90), 90 * 120)
    assert coco.decode(full.rle).all()
    (one,) = polygons(full)
    assert drawn([one], ~BLANK).mean() > 0.98


def test_a_mask_at_another_size() -> None:
    mask = blob(5, 200, 300)
    drawn = Drawn(mask, png_mask(mask), "v")
    assert drawn.fitted(300, 200) is drawn
    small = drawn.fitted(150, 100)
    assert small.mask.shape == (100, 150)
    assert abs(small.mask.mean() - mask.mean()) < 0.01
    assert ((decode(small.png).pixels[..., 0] >= 128) == small.mask).all()
