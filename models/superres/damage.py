"""How damaged an image is; this decides which network enlarges it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.base import Image

BLOCK = 8  # px, JPEG's
FEWEST = 4  # least number of blocks in a row for a reliable measurement
SHARE = 25  # per cent of the blocks that count as flat, because texture is not noise
# On a Gaussian the mask's mean absolute answer is 6·sqrt(2/pi) standard deviations.
_GAIN = np.sqrt(np.pi / 2) / 6
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_EVEN = 1e-3  # grey levels; an image with smaller steps shows no block edges

Plane = NDArray[np.float32]


class Damage(NamedTuple):
    noise: float  # grey levels
    blocks: float  # 1: edges of 8 px blocks stand out no more than other columns and rows

    def above(self, limit: Damage) -> bool:
        return self.noise > limit.noise or self.blocks > limit.blocks


def damage(image: Image) -> Damage:
    """Of (H, W, 3) uint8."""
    luma: Plane = image.astype(np.float32) @ _LUMA
    return Damage(noise_level(luma), (blockiness(luma) + blockiness(luma.T)) / 2)


def noise_level(luma: Plane) -> float:
    """Standard deviation of the noise in (H, W), in grey levels; 0 when tiny.

    Immerkær, "Fast Noise Variance Estimation", CVIU 1996: the difference of two Laplacians, blind
    to linear parts. Here it is computed per block, and the quarter with the smallest values counts,
    so that hair and grass do not count as noise.
    """
    if min(luma.shape) < BLOCK + 2:
        return 0.0
    rows = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    answer = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    high, wide = (side // BLOCK for side in answer.shape)
    blocks = answer[: high * BLOCK, : wide * BLOCK].reshape(high, BLOCK, wide, BLOCK)
    return float(np.percentile(blocks.mean((1, 3)), SHARE) * _GAIN)


def blockiness(luma: Plane) -> float:
    """How much larger the steps between columns are at the borders of JPEG blocks.

    After Wang, Bovik & Evans, "Blind measurement of blocking artifacts", ICIP 2000, without the
    Fourier transform. Sees only a grid that begins at the left edge. 1 for fewer than FEWEST blocks
    in a row, and for an image of one colour.
    """
    steps = np.abs(np.diff(luma, axis=1)).mean(0)
    whole = len(steps) // BLOCK * BLOCK
    if whole < FEWEST * BLOCK:
        return 1.0
    profile = steps[:whole].reshape(-1, BLOCK).mean(0)
    usual = float(np.median(profile[:-1]))
    return float(profile[-1]) / usual if usual > _EVEN else 1.0
