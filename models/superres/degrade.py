"""The damage of real photos: blur, resize, noise, JPEG."""

from __future__ import annotations

from typing import NamedTuple

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
    """Gaussian noise of `sigma` grey levels, the same for all channels if `grey`."""
    shape = (*image.shape[:2], 1 if grey else 3)
    noisy = image + rng.normal(0.0, sigma, shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("JPEG encoding failed")
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


class Range(NamedTuple):
    """Strength of the damage: blur in target pixels for ×2 and ×4, grey levels of noise, JPEG."""

    blur: dict[int, float]
    noise: float
    quality: int


USUAL, HARSH = Range({2: 1.2, 4: 2.0}, 12.0, 40), Range({2: 1.5, 4: 3.0}, 30.0, 30)


def degrade(
    image: Image, scale: int, rng: np.random.Generator, clean: float = 0.35, worst: Range = USUAL
) -> Image:
    """A random low-resolution version; with probability `clean` only the bicubic reduction."""
    if rng.random() < clean:
        return shrink(image, scale)
    if rng.random() < 0.8:
        widest = worst.blur[scale]
        sigma_x = rng.uniform(0.2, widest)
        sigma_y = sigma_x if rng.random() < 0.6 else rng.uniform(0.2, widest)
        image = blur(image, sigma_x, sigma_y)
    image = shrink(image, scale, FILTERS[rng.integers(len(FILTERS))])
    if rng.random() < 0.6:
        image = noise(image, rng.uniform(1, worst.noise), rng, grey=bool(rng.random() < 0.4))
    if rng.random() < 0.8:
        image = jpeg(image, int(rng.integers(worst.quality, 96)))
    return image


def real_world(image: Image, scale: int, rng: np.random.Generator) -> Image:
    """Blur, reduction, noise and compression, each drawn from a wide range.

    The ranges of the first stage of Real-ESRGAN (Wang 2021): sigma 0.2-3 target pixels, three ways
    to reduce, noise of 1-30 grey levels, grey in 40 %, JPEG 30-95. Without its second stage, its
    Poisson noise and its generalised kernels, so it is milder than the training of that network.
    """
    sigma_x = rng.uniform(0.2, 3)
    sigma_y = sigma_x if rng.random() < 0.5 else rng.uniform(0.2, 3)
    small = shrink(blur(image, sigma_x, sigma_y), scale, FILTERS[rng.integers(len(FILTERS))])
    noisy = noise(small, rng.uniform(1, 30), rng, grey=bool(rng.random() < 0.4))
    return jpeg(noisy, int(rng.integers(30, 96)))


# The fixed damage for measurements: blur in low-resolution pixels, noise in grey levels, JPEG
# quality.
REAL_WORLD = "real-world"  # not fixed: drawn for each image, see `real_world`
STRENGTHS = {"light": (0.2, 2.0, 80), "degraded": (0.3, 5.0, 60), "heavy": (0.4, 10.0, 40)}


def degrade_for_benchmark(image: Image, scale: int, seed: int, strength: str = "degraded") -> Image:
    """Blur, bicubic reduction, noise, JPEG, in this order."""
    rng = np.random.default_rng(seed)
    if strength == REAL_WORLD:
        return real_world(image, scale, rng)
    width, sigma, quality = STRENGTHS[strength]
    small = shrink(blur(image, width * scale, width * scale), scale)
    return jpeg(noise(small, sigma, rng, grey=False), quality)
