"""What a person would mend in a mask with two strokes."""

from __future__ import annotations

import numpy as np

from models.segment.tidy import tidy


def test_pinholes_are_filled_and_crumbs_go() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:80, 20:80] = True
    mask[40:44, 40:44] = False  # a pinhole
    mask[2:5, 2:5] = True  # a crumb
    wanted = np.zeros((100, 100), bool)
    wanted[20:80, 20:80] = True
    assert (tidy(mask) == wanted).all()


def test_what_is_large_or_open_stays() -> None:
    ring = np.zeros((100, 100), bool)
    ring[10:90, 10:90] = True
    ring[30:70, 30:70] = False  # 16 % of the picture: a real hole
    two = np.zeros((100, 100), bool)
    two[10:40, 10:40] = two[60:90, 60:90] = True
    notch = np.ones((100, 100), bool)
    notch[0:3, 50:53] = False  # small, but open to the border
    for mask in (ring, two, notch, np.zeros((7, 7), bool), np.ones((1, 1), bool)):
        assert (tidy(mask) == mask).all()
