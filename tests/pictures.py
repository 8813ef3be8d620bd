"""Pictures that tests compare, store or serve."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pil
from skimage import data as photos


def photo(name: str = "astronaut", side: int = 320) -> Pil.Image:
    pixels = getattr(photos, name)()
    return Pil.fromarray(pixels).convert("RGB").resize((side, side), Pil.Resampling.LANCZOS)


def noise(seed: int, side: int = 240) -> Pil.Image:
    small = np.random.default_rng(seed).integers(0, 255, (80, 80, 3), np.uint8)
    return Pil.fromarray(small).resize((side, side), Pil.Resampling.BICUBIC)


def jpeg(image: Pil.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def plain_jpeg(size: tuple[int, int], color: tuple[int, int, int] = (40, 90, 160)) -> bytes:
    return jpeg(Pil.new("RGB", size, color), quality=75)
