"""Two networks of one scale; the damage of the image picks one."""

from __future__ import annotations

from models.base import Image, Upscaler
from models.superres.damage import Damage, damage


class PickedUpscaler:
    """The network for damaged images would soften a clean one; the other would keep the damage."""

    def __init__(self, clean: Upscaler, damaged: Upscaler, limit: Damage) -> None:
        """`limit`: an image above one of the two numbers counts as damaged."""
        if clean.scale != damaged.scale:
            raise ValueError(f"networks of ×{clean.scale} and ×{damaged.scale} are no pair")
        self.scale = clean.scale
        self.version = f"{clean.version}+{damaged.version}@{limit.noise:g},{limit.blocks:g}"
        self._clean, self._damaged, self._limit = clean, damaged, limit

    def pick(self, image: Image) -> Upscaler:
        return self._damaged if damage(image).above(self._limit) else self._clean

    def __call__(self, image: Image) -> Image:
        return self.pick(image)(image)
