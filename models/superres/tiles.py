"""Images of any size through a network that takes small ones, tile by tile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.base import Image


class Tiles(ABC):
    """(H, W, 3) uint8 → (H·scale, W·scale, 3) uint8, any H and W ≥ 1.

    `core`: the side of the part of a tile that is kept, in pixels. `overlap`: the border around it;
    both are multiples of `fold`, like the sides of every input of the network. There are no seams
    if `overlap` is at least the reach of the network. `least`: the smallest side that the network
    takes; smaller images are extended by their edge.
    """

    def __init__(self, scale: int, core: int, overlap: int, fold: int = 1, least: int = 1) -> None:
        self.scale = scale
        self._core, self._overlap, self._fold = core, overlap, fold
        self._least = max(least, fold)

    def __call__(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if image.ndim != 3 or image.shape[2] != 3 or not height or not width:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        scale = self.scale
        missing = tuple(
            up_to(max(side, self._least), self._fold) - side for side in (height, width)
        )
        padded = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        out = np.empty((padded.shape[0] * scale, padded.shape[1] * scale, 3), np.uint8)
        for rows, tall in self._spans(padded.shape[0]):
            for columns, wide in self._spans(padded.shape[1]):
                window = self._enlarge(padded[tall, wide])
                inner = window[inside(rows, tall, scale), inside(columns, wide, scale)]
                out[times(rows, scale), times(columns, scale)] = inner
        return np.ascontiguousarray(out[: height * scale, : width * scale])

    def _spans(self, length: int) -> Iterator[tuple[slice, slice]]:
        """Equal parts of `length`, each with the window around it."""
        parts = -(-length // self._core) if length > self._core + 2 * self._overlap else 1
        step = up_to(-(-length // parts), self._fold)
        for start in range(0, length, step):
            stop = min(length, start + step)
            around = slice(max(0, start - self._overlap), min(length, stop + self._overlap))
            yield slice(start, stop), around

    @abstractmethod
    def _enlarge(self, window: Image) -> Image:
        """One window through the network."""


def to_input(window: Image) -> NDArray[np.float32]:
    """(H, W, 3) uint8 → (1, 3, H, W) in [0, 1]."""
    return window.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)


def to_image(y: NDArray[np.float32]) -> Image:
    """(1, 3, H, W) in about [0, 1] → (H, W, 3) uint8."""
    levels = y[0].transpose(1, 2, 0) * np.float32(255)
    image: Image = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return image


def up_to(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def times(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)


def inside(part: slice, window: slice, scale: int) -> slice:
    """The position of `part` in `window`, in enlarged pixels."""
    return slice((part.start - window.start) * scale, (part.stop - window.start) * scale)
