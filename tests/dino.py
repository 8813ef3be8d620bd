"""What the tests of self-distillation share: a training of milliseconds."""

from __future__ import annotations

import numpy as np
import torch

from models.dino.recipe import DinoRecipe

torch.set_num_threads(1)

TINY = DinoRecipe(
    steps=8, batch=4, global_side=32, local_side=16, locals=2, outputs=16, hidden=32, bottleneck=8,
    warmup=2, frozen_prototypes=1, width=24, heads=3, depth=1, patch=8, grid=4,
)  # fmt: skip


def photos(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return [block.repeat(8, 0).repeat(8, 1) for block in blocks]


def plain_photos(count: int = 8) -> list[np.ndarray]:
    """Each of one colour, with noise."""
    rng = np.random.default_rng(0)
    return [
        (colour + rng.normal(0, 9, (48, 48, 3))).clip(0, 255).astype(np.uint8)
        for colour in rng.uniform(0, 255, (count, 3))
    ]
