"""What a backbone knows before any fine-tuning: raw NCut of its keys, and a linear head on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.base import Image, Mask
from models.dino.ncut import keys_and_features, ncut_mask
from models.dino.vit import ViT
from models.segment.train import mask_loss
from models.training.augment import to_batch

Grid = tuple[int, int]


class Tokens(NamedTuple):
    """Of one picture, squeezed to a square."""

    keys: NDArray[np.float32]  # (T, width), of the last layer
    features: NDArray[np.float32]  # (T, width), the output


def tokens(vit: ViT, images: Sequence[Image], side: int, batch: int = 32) -> Iterator[Tokens]:
    """Of each (H, W, 3) uint8 its patches at `side` × `side`."""
    for start in range(0, len(images), batch):
        squares = [
            cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            for image in images[start : start + batch]
        ]
        pair = keys_and_features(vit, torch.from_numpy(to_batch(squares)))
        for keys, features in zip(*(part.numpy() for part in pair), strict=True):
            yield Tokens(keys, features)


def raw_ncut(found: Tokens, grid: int, shape: Grid) -> Mask:
    """TokenCut's mask stretched to `shape` = (height, width)."""
    return stretched(ncut_mask(found.keys, grid, grid).astype(np.float32), shape) > 0.5


def stretched(plane: NDArray[np.float32], shape: Grid) -> NDArray[np.float32]:
    full: NDArray[np.float32] = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return full


class LinearHead(nn.Module):
    """(N, T, width) features of a frozen backbone → (N, T) logits: one weight per feature.

    Siméoni et al., "FOUND", CVPR 2023. Features are standardised first, so that all backbones
    start alike whatever the size of their numbers.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        flat = features.flatten(0, 1)
        self.register_buffer("mean", flat.mean(0))
        self.register_buffer("scale", 1 / flat.std(0).clamp_min(1e-6))
        self.linear = nn.Linear(flat.shape[1], 1)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.linear((features - self.mean) * self.scale)[..., 0]
        return out


def fit_head(
    features: NDArray[np.float32], masks: Iterable[Mask], *, steps: int, seed: int = 0,
    batch: int = 64, rate: float = 0.1,
) -> LinearHead:  # fmt: skip
    """`features` (N, T, width) and N pseudo-masks of any size → a trained head.

    The masks are taken at the grid of the tokens.
    """
    torch.manual_seed(seed)
    x = torch.from_numpy(features)
    grid = round(features.shape[1] ** 0.5)
    wanted = torch.from_numpy(np.stack([on_grid(mask, grid) for mask in masks]))
    head = LinearHead(x)
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = torch.from_numpy(rng.integers(len(x), size=min(batch, len(x))))
        loss = mask_loss(head(x[chosen]), wanted[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


def on_grid(mask: Mask, grid: int) -> NDArray[np.float32]:
    """(grid²,) in {0, 1}: cells that the mask covers by half or more."""
    small = cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)
    return (small.ravel() >= 0.5).astype(np.float32)


@torch.no_grad()
def head_probability(head: LinearHead, found: Tokens, shape: Grid) -> NDArray[np.float32]:
    """(height, width) in [0, 1]"""
    probability = torch.sigmoid(head(torch.from_numpy(found.features)[None]))[0].numpy()
    grid = round(len(probability) ** 0.5)
    return stretched(probability.reshape(grid, grid), shape)
