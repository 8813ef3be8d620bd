"""Random changes of colour and sharpness for training; (H, W, 3) uint8 in and out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.base import Image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def jitter(image: Image, rng: np.random.Generator, strength: float = 0.4) -> Image:
    """Brightness, contrast, saturation and a colour cast."""
    low, high = 1 - strength, 1 + strength
    x = image.astype(np.float32)
    x *= rng.uniform(low, high)
    mean = float(x.mean())
    x = (x - mean) * rng.uniform(low, high) + mean
    grey = (x @ LUMA)[..., None]
    vivid = grey + (x - grey) * rng.uniform(low, high)
    cast = rng.uniform(1 - strength / 4, 1 + strength / 4, 3)
    changed: Image = np.clip(vivid * cast, 0, 255).astype(np.uint8)
    return changed


def greyed(image: Image) -> Image:
    grey = (image.astype(np.float32) @ LUMA).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def blurred(image: Image, sigma: float) -> Image:
    smooth: Image = cv2.GaussianBlur(image, (0, 0), sigma)
    return smooth


def solarised(image: Image, threshold: int = 128) -> Image:
    return np.where(image < threshold, image, 255 - image).astype(np.uint8)


def random_crop(
    image: Image, rng: np.random.Generator, side: int, area: tuple[float, float]
) -> Image:
    """A crop of a random share of the area and a ratio of 3/4..4/3, resized to side × side."""
    height, width = image.shape[:2]
    share, ratio = rng.uniform(*area), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    columns = min(width, max(1, round(float(np.sqrt(height * width * share * ratio)))))
    rows = min(height, max(1, round(float(np.sqrt(height * width * share / ratio)))))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    crop = image[top : top + rows, left : left + columns]
    how = cv2.INTER_AREA if rows > side else cv2.INTER_LINEAR
    resized: Image = cv2.resize(crop, (side, side), interpolation=how)
    return resized


def to_batch(images: list[Image]) -> NDArray[np.float32]:
    """B × (H, W, 3) uint8 → (B, 3, H, W) float32 in [0, 1]."""
    stack = np.stack(images).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stack, dtype=np.float32) / np.float32(255)
