"""Photos with a known object: a bright disc before something dark and noisy (needs opencv)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.segment.samples import Sample


def disc(seed: int = 0, side: int = 120, x: float = 0.5) -> Sample:
    """Centred at `x` of the width; its mask is hard."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    mask = (rows - side / 2) ** 2 + (columns - x * side) ** 2 < (0.25 * side) ** 2
    image = np.where(mask[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3))
    image = image + rng.normal(0, 8, image.shape)
    return Sample(image.clip(0, 255).astype(np.uint8), mask)


def write(folder: Path, samples: list[Sample]) -> None:
    folder.mkdir(parents=True)
    for number, sample in enumerate(samples):
        Pil.fromarray(sample.image).save(folder / f"{number:02}.jpg", quality=95)
