"""Enlarging with a network, tile by tile, without seams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.base import Image, Upscaler, WeightsError
from models.packs import EMBEDDED, Weights, embedded_weights
from models.runtime import Runtime
from models.superres.damage import blockiness

WINDOW = 256  # the largest side that goes through the network at once, in pixels

BLOCKY = 1.25  # blockiness from which a picture is repaired while it is enlarged


class TiledUpscaler:
    """(H, W, 3) uint8 → (H·scale, W·scale, 3) uint8, any H and W ≥ 1.

    Each tile is cut out with as much around it as the network can see, so tiles meet exactly.
    """

    def __init__(self, weights: Weights, runtime: Runtime, window: int = WINDOW) -> None:
        self.scale = int(weights.facts["scale"])
        self.version = weights.version
        self._path = weights.path
        self._runtime = runtime
        self._fold = int(weights.facts["fold"])
        self._overlap = up_to(int(weights.facts["reach"]), self._fold)
        self._core = window - 2 * self._overlap
        if self._core < self._fold:
            raise ValueError(f"a window of {window} px leaves no room inside the overlap")

    def __call__(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if image.ndim != 3 or image.shape[2] != 3 or not height or not width:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        scale, fold = self.scale, self._fold
        missing = (up_to(height, fold) - height, up_to(width, fold) - width)
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

    def _enlarge(self, window: Image) -> Image:
        x = window.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        (y,) = self._runtime.run(self._path, {"image": x})
        return to_image(y)


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
    """Where `part` lies within `window`, in enlarged pixels."""
    return slice((part.start - window.start) * scale, (part.stop - window.start) * scale)


class PickedUpscaler:
    """One network for pictures as they should be, another for those that compression damaged."""

    def __init__(self, clean: Upscaler, damaged: Upscaler) -> None:
        if clean.scale != damaged.scale:
            raise ValueError(f"×{clean.scale} and ×{damaged.scale} do not go together")
        self.scale = clean.scale
        self.version = f"{clean.version}+{damaged.version}"
        self._clean, self._damaged = clean, damaged

    def __call__(self, image: Image) -> Image:
        return (self._damaged if blockiness(image) >= BLOCKY else self._clean)(image)


def embedded(scale: int, runtime: Runtime, folder: Path = EMBEDDED) -> Upscaler:
    """The upscaler we ship. Raises WeightsError for a scale we have no network for."""
    if scale == 2:
        return TiledUpscaler(embedded_weights("superres-x2", folder), runtime)
    if scale == 4:
        names = ("superres-x4", "superres-x4-restore")
        clean, damaged = (TiledUpscaler(embedded_weights(name, folder), runtime) for name in names)
        return PickedUpscaler(clean, damaged)
    raise WeightsError(f"no network enlarges ×{scale}; there are ×2 and ×4")
