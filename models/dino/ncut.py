"""TokenCut: the object is one side of a normalised cut through the tokens' graph.

Wang et al., "Self-supervised transformers for unsupervised object discovery using normalized cut",
CVPR 2022; the corner rule is MaskCut's (Wang et al., "Cut and learn", CVPR 2023).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg, ndimage
from torch import Tensor

from models.base import Mask
from models.dino.vit import ViT

TAU = 0.2  # cosine similarity from which two tokens are alike
FAINT = 1e-5  # weight of an edge between tokens that are not

Keys = NDArray[np.float32] | NDArray[np.float64]  # (T, d)
Weights = NDArray[np.float64]  # (T, T), symmetric, positive


def ncut_mask(keys: Keys, rows: int, cols: int, *, tau: float = TAU, corners: bool = True) -> Mask:
    """`keys` (T, d) with T = rows · cols, row by row → (rows, cols) bool.

    Empty when all tokens are alike: nothing can be told apart. `corners`: see `bipartition`.
    ValueError for keys of another length or that are not finite.
    """
    if keys.ndim != 2 or len(keys) != rows * cols:
        raise ValueError(f"{keys.shape} keys do not fill {rows} x {cols}")
    return bipartition(affinity(keys, tau), rows, cols, corners=corners)


def affinity(keys: Keys, tau: float = TAU) -> Weights:
    """(T, d) → (T, T): 1 where the cosine exceeds `tau`, 1e-5 elsewhere."""
    if not np.isfinite(keys).all():
        raise ValueError("keys that are not finite")
    unit = keys.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    return np.where(unit @ unit.T > tau, 1.0, FAINT)


def bipartition(weights: Weights, rows: int, cols: int, *, corners: bool = True) -> Mask:
    """The part of the second eigenvector's foreground side that holds its strongest token.

    The foreground is the side of the token with the largest absolute value; with `corners`, the
    other side when that one holds three or four corners of the picture.
    """
    vector = fiedler(weights)
    if vector is None:
        return np.zeros((rows, cols), bool)
    offset = vector - vector.mean()
    seed = int(np.abs(vector).argmax())
    if offset[seed] < 0:
        offset = -offset
    grid = offset.reshape(rows, cols)
    if corners and (grid[[0, 0, -1, -1], [0, -1, 0, -1]] > 0).sum() >= 3:
        grid = -grid
        seed = int(grid.argmax())
    parts, _ = ndimage.label(grid > 0)
    part: Mask = parts == parts.flat[seed]
    return part if parts.flat[seed] else np.zeros((rows, cols), bool)


def fiedler(weights: Weights) -> NDArray[np.float64] | None:
    """(T,) second smallest solution of (D - W) y = λ D y; None when all edges weigh the same."""
    if len(weights) < 2 or np.ptp(weights[~np.eye(len(weights), dtype=bool)]) < 1e-9:
        return None
    root = 1 / np.sqrt(weights.sum(1))
    place = len(weights) - 2  # of the normalised weights, the second largest
    scaled = weights * root[:, None] * root
    _, vectors = linalg.eigh(scaled, subset_by_index=(place, place))
    second: NDArray[np.float64] = vectors[:, 0] * root
    return second


def last_keys(vit: ViT, pictures: Tensor) -> Tensor:
    """(B, 3, H, W) float RGB in [0, 1] → (B, T, width): keys of the last layer's patch tokens."""
    return keys_and_features(vit, pictures)[0]


def keys_and_features(vit: ViT, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Of the patch tokens, each (B, T, width): keys of the last layer, and the output."""
    seen: list[Tensor] = []
    hook = vit.blocks[-1].attention.qkv.register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    try:
        with torch.no_grad():
            out: Tensor = vit(pictures)
    finally:
        hook.remove()
    return seen[0].chunk(3, dim=-1)[1][:, 1:], out[:, 1:]
