"""Figures of masks: small cases by hand, and other people's code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.measure import label, regionprops

from models.metrics.masks import (
    boundary_f,
    box_iou,
    f_curve,
    iou,
    located,
    main_box,
    max_f,
)

EMPTY, FULL = np.zeros((4, 4), bool), np.ones((4, 4), bool)


def box(top: int, left: int, bottom: int, right: int, side: int = 40) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[top:bottom, left:right] = True
    return mask


def blobs(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((30, 40)) < 0.4


def test_iou_by_hand() -> None:
    assert iou(box(0, 0, 10, 10), box(0, 5, 10, 15)) == pytest.approx(50 / 150)
    assert iou(EMPTY, EMPTY) == 1
    assert iou(EMPTY, FULL) == 0


def test_f_measure_by_hand() -> None:
    probability = np.array([[1.0, 0.6], [0.2, 0.0]], np.float32)
    wanted = np.array([[True, False], [True, False]])
    curve = f_curve(probability, wanted)
    assert curve.shape == (256,)

    def f(precision: float, recall: float) -> float:
        return 1.3 * precision * recall / (0.3 * precision + recall)

    assert curve[0] == pytest.approx(f(2 / 4, 1))  # every pixel is at or above 0
    assert curve[1] == curve[51] == pytest.approx(f(2 / 3, 1))  # 0.2 · 255 = 51
    assert curve[52] == curve[153] == pytest.approx(f(1 / 2, 1 / 2))
    assert curve[154] == curve[255] == pytest.approx(f(1, 1 / 2))
    assert max_f(curve[None]) == pytest.approx(f(1, 1 / 2))


def test_max_f_takes_one_threshold_for_all_images() -> None:
    curves = np.zeros((2, 256))
    curves[0, 10], curves[1, 20] = 1.0, 1.0
    curves[:, 30] = 0.6
    assert max_f(curves) == pytest.approx(0.6)  # and not the mean of the two best, 1.0


def test_f_measure_without_an_object() -> None:
    nothing, something = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert f_curve(nothing, EMPTY)[1:].tolist() == [1.0] * 255
    assert f_curve(nothing, EMPTY)[0] == 0  # at threshold 0 every pixel is called object
    assert f_curve(something, EMPTY).max() == 0
    assert f_curve(nothing, FULL)[1:].max() == 0
    assert f_curve(something, FULL).tolist() == [1.0] * 256


def test_boundary_f_forgives_what_is_near() -> None:
    wanted = box(10, 10, 30, 30)
    assert boundary_f(wanted, wanted) == 1
    assert math.ceil(0.0075 * math.hypot(40, 40)) == 1
    assert boundary_f(box(9, 10, 29, 30), wanted) == 1  # one pixel off: within the tolerance
    assert boundary_f(box(10, 10, 30, 30), box(13, 10, 33, 30)) < 0.8


def test_boundary_f_by_hand() -> None:
    """Columns: the edge of [0, 10) is column 9, that of [0, 14) is column 13."""
    got, wanted = box(0, 0, 40, 10), box(0, 0, 40, 14)
    assert boundary_f(got, wanted) == 0
    assert boundary_f(got, wanted, tolerance=4 / math.hypot(40, 40)) == 1
    both = wanted | box(0, 30, 40, 40)  # a second edge, column 30, that `got` misses
    assert boundary_f(wanted, both) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_boundary_f_without_a_boundary() -> None:
    assert boundary_f(EMPTY, EMPTY) == boundary_f(FULL, FULL) == 1
    assert boundary_f(EMPTY, FULL) == 0
    assert boundary_f(box(1, 1, 3, 3, 4), FULL) == boundary_f(EMPTY, box(1, 1, 3, 3, 4)) == 0


def test_the_largest_component_has_the_box() -> None:
    mask = box(2, 3, 10, 12) | box(20, 20, 25, 25)
    assert main_box(mask) == (2, 3, 10, 12)
    assert main_box(np.zeros((5, 5), bool)) is None
    assert main_box(box(0, 0, 2, 2) | box(8, 8, 10, 10)) == (0, 0, 2, 2)  # of equals the first
    diagonal = np.eye(3, dtype=bool)
    assert main_box(diagonal) == (0, 0, 1, 1)  # corners do not connect


@pytest.mark.parametrize("seed", range(5))
def test_boxes_agree_with_scikit_image(seed: int) -> None:
    mask = blobs(seed)
    largest = max(regionprops(label(mask, connectivity=1)), key=lambda region: region.area)
    assert main_box(mask) == largest.bbox


def test_corloc_by_hand() -> None:
    assert box_iou((0, 0, 10, 10), (0, 5, 10, 15)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (5, 5, 6, 6)) == 0
    wanted = box(0, 0, 10, 10)
    assert located(box(0, 0, 10, 5), wanted)  # exactly a half
    assert not located(box(0, 0, 10, 4), wanted)
    assert located(np.zeros((40, 40), bool), np.zeros((40, 40), bool))
    assert not located(np.zeros((40, 40), bool), wanted)


def test_sizes_must_agree() -> None:
    for metric in (boundary_f, located):
        with pytest.raises(ValueError, match="different sizes"):
            metric(EMPTY, box(0, 0, 1, 1))
    with pytest.raises(ValueError, match="different sizes"):
        f_curve(np.zeros((2, 2), np.float32), EMPTY)
