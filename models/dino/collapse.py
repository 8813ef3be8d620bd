"""A watch for collapse: a teacher that says the same of every image, or nothing of any."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.dino.distributed import mean


class Collapsed(RuntimeError):
    """The teacher says the same of every image, or nothing of any."""


@torch.no_grad()
def spread(targets: Tensor) -> tuple[float, float]:
    """For (N, K) probabilities: their mean entropy, and the entropy of their mean.

    Both lie in [0, log K]. Healthy: the first low, the second high. Equal: all images alike.
    """
    entropy = mean(-(targets * targets.clamp_min(1e-9).log()).sum(-1).mean())
    average = mean(targets.mean(0))
    return float(entropy), float(-(average * average.clamp_min(1e-9).log()).sum())


class CollapseWatch:
    """Raises Collapsed when outputs stay uniform, or alike for all images, `patience` times."""

    def __init__(self, outputs: int, patience: int = 200) -> None:
        self.limit = math.log(outputs)
        self.patience = patience
        self.bad = 0

    def __call__(self, entropy: float, mean_entropy: float) -> None:
        uniform = entropy > 0.97 * self.limit
        alike = mean_entropy - entropy < 0.02 * self.limit
        self.bad = self.bad + 1 if uniform or alike else 0
        if self.bad >= self.patience:
            kind = "uniform" if uniform else "the same for every image"
            raise Collapsed(f"teacher outputs have been {kind} for {self.bad} steps")
