"""The outlines in an image as a vector: no network, so nothing that was trained on hashtags.

Histograms of oriented gradients (Dalal & Triggs, "Histograms of Oriented Gradients for Human
Detection", CVPR 2005): the places and directions of edges. A network that was trained for
masks sees where the object is; outlines show better what kind of object it is (docs/benchmarks.md,
"Noise in hashtags").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from skimage.feature import hog

from models.base import Image

SIDE = 96  # px; the image is scaled to this square
CELL = 12  # px
DIRECTIONS = 9
COLUMNS = SIDE // CELL - 1  # of blocks, two cells wide each


@dataclass(frozen=True, slots=True)
class Outline:
    embedding: NDArray[np.float32]  # (1008,)


class Outlines:
    """(H, W, 3) uint8 of any size and aspect → Outline. ValueError for another form.

    The mean of an image and its mirror image, so both have the same outline. The right half
    repeats the left half and is left out; distances stay the same, except for edges exactly along
    the sides of the image (they count for one of two directions).
    """

    version = "outline-1"  # change it whenever the numbers change

    def __call__(self, image: Image) -> Outline:
        if image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        small = Pil.fromarray(image).resize((SIDE, SIDE), Pil.Resampling.BILINEAR)
        square = np.asarray(small, np.float32) / np.float32(255)
        both = (_blocks(square) + _blocks(square[:, ::-1])) / 2
        both[:, : COLUMNS // 2] *= np.sqrt(2)  # also represent their mirror images
        return Outline(both[:, : COLUMNS // 2 + 1].ravel().astype(np.float32))


def _blocks(square: NDArray[np.float32]) -> NDArray[np.float64]:
    """(7, 7, 2, 2, 9): rows and columns of blocks, cells of each, directions."""
    seen: NDArray[np.float64] = hog(
        square,
        orientations=DIRECTIONS,
        pixels_per_cell=(CELL, CELL),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        channel_axis=-1,
        feature_vector=False,
    )
    return seen
