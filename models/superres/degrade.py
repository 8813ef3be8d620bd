"""What the world does to a photo before we see it: blur, resize, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image as Pil

from models.base import Image

FILTERS = (Pil.Resampling.BICUBIC, Pil.Resampling.BILINEAR, Pil.Resampling.BOX)


def shrink(image: Image, scale: int, resample: Pil.Resampling = Pil.Resampling.BICUBIC) -> Image:
    """(H, W, 3) → (H//scale, W//scale, 3), antialiased."""
    size = (image.shape[1] // scale, image.shape[0] // scale)
    return np.asarray(Pil.fromarray(image).resize(size, resample))


def blur(image: Image, sigma_x: float, sigma_y: float) -> Image:
    smooth: Image = cv2.GaussianBlur(image, (0, 0), sigma_x, sigmaY=sigma_y)
    return smooth


def noise(image: Image, sigma: float, rng: np.random.Generator, *, grey: bool) -> Image:
    """Gaussian noise of `sigma` grey levels, one for all channels when `grey`."""
    shape = (*image.shape[:2], 1 if grey else 3)
    noisy = image + rng.normal(0.0, sigma, shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("JPEG encoding failed")
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


def degrade(image: Image, scale: int, rng: np.random.Generator, clean: float = 0.35) -> Image:
    """A random low-resolution version; with probability `clean` only the bicubic reduction."""
    if rng.random() < clean:
        return shrink(image, scale)
    if rng.random() < 0.8:
        widest = 0.4 * scale + 0.4
        sigma_x = rng.uniform(0.2, widest)
        sigma_y = sigma_x if rng.random() < 0.6 else rng.uniform(0.2, widest)
        image = blur(image, sigma_x, sigma_y)
    image = shrink(image, scale, FILTERS[rng.integers(len(FILTERS))])
    if rng.random() < 0.6:
        image = noise(image, rng.uniform(1, 12), rng, grey=bool(rng.random() < 0.4))
    if rng.random() < 0.8:
        image = jpeg(image, int(rng.integers(40, 96)))
    return image


# The fixed damage the figures are measured on: blur in low-resolution pixels, noise in grey levels,
# JPEG quality.
STRENGTHS = {"light": (0.2, 2.0, 80), "degraded": (0.3, 5.0, 60), "heavy": (0.4, 10.0, 40)}


def degrade_for_benchmark(image: Image, scale: int, seed: int, strength: str = "degraded") -> Image:
    """Blur, bicubic reduction, noise, JPEG, in this order."""
    width, sigma, quality = STRENGTHS[strength]
    rng = np.random.default_rng(seed)
    small = shrink(blur(image, width * scale, width * scale), scale)
    return jpeg(noise(small, sigma, rng, grey=False), quality)
