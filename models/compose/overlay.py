"""The styles as composers: their paint on an image and the matte of its object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import PIL.Image

from models.base import Composer, Image, Mask
from models.compose import WITHOUT_MASK, facets, grade, outline, pattern, pop, spotlight, sticker
from models.compose import tint as tint_style
from models.compose.matte import REVISION as _MATTE
from models.compose.matte import Matte, matte


@dataclass(slots=True)
class Overlay:
    """A style that works on the object. Without one (empty mask) the image stays as it is."""

    style: str
    version: str
    paint: Callable[[PIL.Image.Image, Matte, int], PIL.Image.Image]
    needs_mask: bool = True

    def __call__(self, image: Image, mask: Mask, *, seed: int) -> Image:
        """(H, W, 3) uint8, (H, W) bool -> (H, W, 3) uint8. Raises ValueError for other shapes."""
        _check(image, mask)
        if not mask.any():
            return image.copy()
        return np.array(self.paint(PIL.Image.fromarray(image), matte(image, mask), seed))


@dataclass(slots=True)
class Grade:
    """A style for the whole picture; the mask is not looked at."""

    style: str
    version: str
    paint: Callable[[PIL.Image.Image, int], PIL.Image.Image]
    needs_mask: bool = False

    def __call__(self, image: Image, mask: Mask, *, seed: int) -> Image:
        """(H, W, 3) uint8, (H, W) bool -> (H, W, 3) uint8. Raises ValueError for other shapes."""
        _check(image, mask)
        return np.array(self.paint(PIL.Image.fromarray(image), seed))


COMPOSERS: dict[str, Composer] = {
    name: Overlay(name, f"{name}/{module.REVISION}.{_MATTE}", module.paint)
    for name, module in (
        ("tint", tint_style),
        ("outline", outline),
        ("sticker", sticker),
        ("spotlight", spotlight),
        ("pattern", pattern),
        ("facets", facets),
        ("pop", pop),
    )
}
COMPOSERS[WITHOUT_MASK] = Grade(WITHOUT_MASK, f"grade/{grade.REVISION}", grade.paint)


def _check(image: Image, mask: Mask) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
    if mask.shape != image.shape[:2] or mask.dtype != np.bool_:
        raise ValueError(f"mask must be {image.shape[:2]} bool, not {mask.shape} {mask.dtype}")
