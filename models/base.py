"""Types and protocols of the image stages.

Image: (H, W, 3) uint8, RGB, 0..255.  Probability: (H, W) float32 in [0, 1].  Mask: (H, W) bool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Probability: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Embedding: TypeAlias = NDArray[np.float32]  # (D,), L2-normalised


class WeightsError(Exception):
    """Weights are missing, damaged (sha256) or of a format this version cannot read."""


class ImageRejected(Exception):
    """Bytes that are no image we handle. `reason` is a short stable word (`models.images`)."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Segmentation:
    """One run of a segmenter over one image."""

    probability: Probability  # at the input's size
    mask: Mask  # probability over the network's threshold; all False: no clear object
    confidence: float  # in [0, 1]: how sure the network is that the mask shows one clear object
    embedding: Embedding


class Upscaler(Protocol):
    scale: int
    version: str  # name and hash of the weights: part of every cache key

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) -> (H*scale, W*scale, 3), tiled without seams, any H, W >= 1."""


class Segmenter(Protocol):
    version: str

    def __call__(self, image: Image) -> Segmentation:
        """Find the main object of an image of any size and aspect."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked for, in pixels from the upper left corner, x before y."""

    points: tuple[tuple[float, float], ...] = ()  # all on the object
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom
    away: tuple[tuple[float, float], ...] = ()  # points that are not on it

    def check(self, width: int, height: int) -> None:
        """Raises ValueError for a prompt that says nothing, or lies outside the picture."""
        if not self.points and self.box is None:
            raise ValueError("a prompt needs a point or a box")
        for x, y in (*self.points, *self.away):
            if not (0 <= x < width and 0 <= y < height):
                raise ValueError(f"the point {x:g},{y:g} lies outside of {width} x {height}")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left < right <= width and 0 <= top < bottom <= height):
                words = ",".join(f"{value:g}" for value in self.box)
                raise ValueError(f"the box {words} is empty, or outside of {width} x {height}")


@dataclass(frozen=True, slots=True)
class PromptedMask:
    probability: Probability  # at the image's size
    quality: float  # the network's own estimate of the mask's IoU


class Prompter(Protocol):
    version: str

    def __call__(self, image: Image, prompt: Prompt) -> list[PromptedMask]:
        """What the prompt may mean, the best answer first; ValueError as `Prompt.check`."""


class Composer(Protocol):
    @property
    def style(self) -> str: ...

    @property
    def version(self) -> str:
        """Part of the name under which its pictures are kept."""

    @property
    def needs_mask(self) -> bool: ...

    def __call__(
        self, image: Image, mask: Mask, *, seed: int, size: tuple[int, int] | None = None
    ) -> Image:
        """A picture of this (width, height), by default the image's. Deterministic."""
