"""How much compression has damaged a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.base import Image

BLOCK = 8  # JPEG works on blocks of 8 × 8 pixels
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def blockiness(image: Image) -> float:
    """Steps across the borders of JPEG's blocks against steps elsewhere: 1 without any blocks.

    (H, W, 3) uint8 → the mean of both directions, at least 0. A step is a third difference: of a
    slope or an edge that runs through, little is left (the idea of Wang, Sheikh and Bovik's
    "No-reference perceptual quality assessment of JPEG compressed images", 2002). Pictures too
    small to hold two borders count as undamaged.
    """
    luma = image.astype(np.float32) @ LUMA
    ratios = [_ratio(plane) for plane in (luma, luma.T) if plane.shape[1] > 2 * BLOCK + 1]
    return float(np.mean(ratios)) if ratios else 1.0


def _ratio(plane: NDArray[np.float32]) -> float:
    step = np.abs(plane[:, :-3] - 3 * plane[:, 1:-2] + 3 * plane[:, 2:-1] - plane[:, 3:]).mean(0)
    at_border = (np.arange(len(step)) + 2) % BLOCK == 0  # between columns i + 1 and i + 2
    elsewhere = float(step[~at_border].mean())
    return float(step[at_border].mean()) / elsewhere if elsewhere > 1e-3 else 1.0
