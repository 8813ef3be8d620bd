"""A style says what it is where it is defined: `STYLE` at the end of its file is one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from models.base import Image, Mask
from models.compose.matte import REVISION as _MATTE
from models.compose.matte import Matte, matte


@dataclass(frozen=True, slots=True)
class Overlay:
    """A style that works on the object. Without one (empty mask) the image stays as it is.

    `alt` follows "Photo by @name with " in the alt text; {object} is the main object with its size,
    {colour} that of the seed. Another `revision` when other pictures come out.
    """

    style: str
    alt: str
    revision: int
    paint: Callable[[PIL.Image.Image, Matte, int], PIL.Image.Image]
    needs_mask: ClassVar[bool] = True

    @property
    def version(self) -> str:
        return f"{self.style}/{self.revision}.{_MATTE}"

    def __call__(self, image: Image, mask: Mask, *, seed: int) -> Image:
        """(H, W, 3) uint8, (H, W) bool -> (H, W, 3) uint8. Raises ValueError for other shapes."""
        _check(image, mask)
        if not mask.any():
            return image.copy()
        return np.array(self.paint(PIL.Image.fromarray(image), matte(image, mask), seed))


@dataclass(frozen=True, slots=True)
class Whole:
    """A style for the whole picture; the mask is not looked at. Fields as in `Overlay`."""

    style: str
    alt: str
    revision: int
    paint: Callable[[PIL.Image.Image, int], PIL.Image.Image]
    needs_mask: ClassVar[bool] = False

    @property
    def version(self) -> str:
        return f"{self.style}/{self.revision}"

    def __call__(self, image: Image, mask: Mask, *, seed: int) -> Image:
        """(H, W, 3) uint8, (H, W) bool -> (H, W, 3) uint8. Raises ValueError for other shapes."""
        _check(image, mask)
        return np.array(self.paint(PIL.Image.fromarray(image), seed))


Style = Overlay | Whole


def _check(image: Image, mask: Mask) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if mask.shape != image.shape[:2] or mask.dtype != np.bool_:
        raise ValueError(f"mask must be {image.shape[:2]} bool, not {mask.shape} {mask.dtype}")
