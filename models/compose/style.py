"""A style says what it is where it is defined: `STYLE` at the end of its file is one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from models.base import Image, Mask
from models.compose import framing
from models.compose.blend import lifted
from models.compose.framing import show, show_mask, window
from models.compose.matte import REVISION as _MATTE
from models.compose.matte import Matte, matte
from models.compose.palette import Palette, palette

Size = tuple[int, int]  # (width, height) in px


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is painted: a photo on its canvas, with its object."""

    photo: PIL.Image.Image
    matte: Matte
    palette: Palette
    rng: np.random.Generator  # of the seed

    @property
    def unit(self) -> float:
        """Pixels for 1/1080 of the short side: lengths in units look alike at any size."""
        return self.matte.unit

    def on(self, ground: PIL.Image.Image) -> PIL.Image.Image:
        """The object before this ground; with nothing of its old surroundings, and never dark."""
        cutout = lifted(self.matte.cutout, self.palette.object_lightness)
        return PIL.Image.composite(cutout, ground, self.matte.layer)


@dataclass(frozen=True, slots=True)
class Overlay:
    """A style that works on the object. Without one (empty mask) the image stays as it is.

    `alt` follows "Photo by @name with " in the alt text; {object} is the main object with its size.
    Another `revision` when other pictures come out. `free`: it replaces the surroundings, so the
    object may be moved and enlarged on the canvas.
    """

    style: str
    alt: str
    revision: int
    paint: Callable[[Scene], PIL.Image.Image]
    free: bool = False
    needs_mask: ClassVar[bool] = True

    @property
    def version(self) -> str:
        return f"{self.style}/{self.revision}.{_MATTE}.{framing.REVISION}"

    def __call__(self, image: Image, mask: Mask, *, seed: int, size: Size | None = None) -> Image:
        """(H, W, 3) uint8, (H, W) bool -> (height, width, 3) uint8 of `size`, by default the same.

        Raises ValueError for other shapes.
        """
        _check(image, mask)
        height, width = mask.shape
        if not mask.any():
            return image.copy()
        size = size or (width, height)
        seen = window(mask, size[0] / size[1], free=self.free)
        shown, where = show(image, seen, size), show_mask(mask, seen, size)
        if not where.any():  # thinner than a pixel there
            return shown
        found = matte(shown, where)
        photo = PIL.Image.fromarray(shown)
        colours = palette(PIL.Image.fromarray(image), _layer(mask), seed)
        return np.array(self.paint(Scene(photo, found, colours, _chance(seed))))


@dataclass(frozen=True, slots=True)
class Whole:
    """A style for the whole picture; the mask is not looked at. Fields as in `Overlay`."""

    style: str
    alt: str
    revision: int
    paint: Callable[[PIL.Image.Image, Size, Palette, np.random.Generator], PIL.Image.Image]
    needs_mask: ClassVar[bool] = False

    @property
    def version(self) -> str:
        return f"{self.style}/{self.revision}"

    def __call__(self, image: Image, mask: Mask, *, seed: int, size: Size | None = None) -> Image:
        """As an `Overlay`."""
        _check(image, mask)
        photo = PIL.Image.fromarray(image)
        size = size or photo.size
        return np.array(self.paint(photo, size, palette(photo, None, seed), _chance(seed)))


Style = Overlay | Whole


def _chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(abs(seed))


def _check(image: Image, mask: Mask) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if mask.shape != image.shape[:2] or mask.dtype != np.bool_:
        raise ValueError(f"mask must be {image.shape[:2]} bool, not {mask.shape} {mask.dtype}")


def _layer(mask: Mask) -> PIL.Image.Image:
    return PIL.Image.fromarray(mask.view(np.uint8) * np.uint8(255))
