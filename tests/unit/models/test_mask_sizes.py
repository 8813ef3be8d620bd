"""Masks at another size: what is drawn stays where it is, and what is not drawn stays as it is."""

from __future__ import annotations

import numpy as np

from models.images.mask_sizes import redrawn, reduced, stretched

WIDE, HIGH = 2401, 1600  # px of an image that is shown at 1600 x 1066


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HIGH, WIDE), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def edges(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_a_mask_keeps_its_place_and_its_proportions() -> None:
    mask = box(300, 200, 1500, 1400)
    small = reduced(mask, 1600, 1066)
    assert small.shape == (1066, 1600)
    back = edges(stretched(small, WIDE, HIGH))
    assert np.abs(np.subtract(back, (300, 200, 1500, 1400))).max() <= 1
    assert abs((back[2] - back[0]) - (back[3] - back[1])) <= 2


def test_what_was_not_drawn_on_stays_as_fine_as_it_was() -> None:
    before = box(100, 100, 900, 900)
    before[300:303, 900:1300] = True  # finer than a pixel of what is drawn on
    before[::7, 150:160] = False
    small = reduced(before, 1600, 1066)
    assert np.array_equal(redrawn(small, before), before)
    small[700:900, 1200:1500] = True
    after = redrawn(small, before)
    assert np.array_equal(after[:1000], before[:1000])
    drawn = edges(after[:, 1500:])
    assert np.abs(np.subtract(drawn, (301, 1051, 751, 1351))).max() <= 2
    small[:300, :300] = False
    left = redrawn(small, before)
    assert not left[100:440, 100:440].any() and left[800, 800]
    assert not redrawn(np.zeros_like(small), before).any()
