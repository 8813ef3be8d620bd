"""Whether a mask may be shown by itself."""

from __future__ import annotations

import numpy as np
import pytest

from models.base import Mask, Segmentation
from models.segment.doubt import beyond, doubt

FIGURE = np.zeros((400, 300), np.bool_)
FIGURE[40:360, 100:200] = True
HEADLESS = FIGURE.copy()
HEADLESS[:180] = False


def found(mask: Mask, seen: Mask, *, confidence: float = 0.95, half: float = 0.35) -> Segmentation:
    """`seen`: where the network half sees something."""
    probability = np.where(mask, 0.95, np.where(seen, half, 0.02)).astype(np.float32)
    return Segmentation(probability, mask, confidence, np.zeros(1, np.float32))


def test_a_whole_object_is_no_doubt() -> None:
    assert doubt(found(FIGURE, FIGURE)) == ""
    assert beyond(found(FIGURE, FIGURE)) == 0


def test_a_mask_that_stops_inside_of_its_object_is_doubtful() -> None:
    assert beyond(found(HEADLESS, FIGURE)) == pytest.approx(140 / 180, abs=0.08)
    assert doubt(found(HEADLESS, FIGURE)).startswith("the object may go on where its mask ends")


def test_a_mask_that_the_frame_cuts_is_none() -> None:
    cut = np.zeros((400, 300), np.bool_)
    cut[200:, 50:250] = True
    assert doubt(found(cut, cut)) == ""


def test_a_soft_edge_is_none() -> None:
    """Hair: a few pixels all around are half seen."""
    wide = np.zeros((400, 300), np.bool_)
    wide[34:366, 94:206] = True
    assert doubt(found(FIGURE, wide)) == ""


def test_what_is_hardly_seen_at_all_is_none() -> None:
    assert doubt(found(HEADLESS, FIGURE, half=0.1)) == ""


def test_an_object_that_is_not_clear_is_doubtful() -> None:
    assert doubt(found(FIGURE, FIGURE, confidence=0.8)) == (
        "the main object is not clear (80% sure)"
    )


def test_no_mask_is_no_doubt() -> None:
    empty = np.zeros((40, 30), np.bool_)
    assert doubt(found(empty, ~empty, confidence=0.0)) == ""


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_the_smallest_pictures(size: tuple[int, int]) -> None:
    full = np.ones(size, np.bool_)
    assert doubt(found(full, full)) == ""
