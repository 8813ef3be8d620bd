"""A plain vision transformer: patches, a class token, learned positions.

Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; the sizes Tiny and Small are those
of Touvron et al., "Training data-efficient image transformers", ICML 2021.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


class Shape(NamedTuple):
    width: int = 192
    depth: int = 6
    heads: int = 3
    patch: int = 16
    grid: int = 14  # positions are learned on grid × grid patches and interpolated elsewhere
    eps: float = 1e-6  # of the layer norms


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, head width)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class Block(nn.Module):
    def __init__(self, width: int, heads: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ViT(nn.Module):
    """(B, 3, H, W) in [0, 1], H and W multiples of the patch → (B, 1 + H·W/patch², width).

    Token 0 is the class token; the others run row by row.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        width, depth, heads, patch, grid, eps = self.shape
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.cls_position = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, width, grid, grid))
        self.blocks = nn.ModuleList(Block(width, heads, eps) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=eps)
        self.apply(_init)
        for parameter in (self.cls, self.cls_position, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(
        self, x: Tensor, hidden: Tensor | None = None, blank: Tensor | None = None
    ) -> Tensor:
        """With `hidden` (B, rows · columns) bool, `blank` (width,) stands for what those patches
        show; their positions stay.
        """
        tokens = self.first(x, hidden, blank)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens)
        return out

    def first(self, x: Tensor, hidden: Tensor | None = None, blank: Tensor | None = None) -> Tensor:
        """The tokens before the first block."""
        patches = self.embed((x - self.mean) / self.std)  # (B, width, rows, columns)
        if hidden is not None and blank is not None:
            where = hidden.view(-1, 1, *patches.shape[-2:])
            patches = torch.where(where, blank.to(patches.dtype).view(1, -1, 1, 1), patches)
        patches = patches + self.positions_for(patches.shape[-2], patches.shape[-1])
        cls = (self.cls + self.cls_position).expand(x.shape[0], -1, -1)
        return torch.cat([cls, patches.flatten(2).transpose(1, 2)], dim=1)

    def positions_for(self, rows: int, columns: int) -> Tensor:
        """(1, width, rows, columns)"""
        if (rows, columns) == (self.shape.grid, self.shape.grid):
            return self.positions
        if self.positions.is_cuda:  # its kernel adds gradients up in an order of its own
            with torch.autocast("cuda", enabled=False):
                down, across = (
                    bicubic(self.shape.grid, count).to(self.positions) for count in (rows, columns)
                )
                return down @ self.positions @ across.T
        return F.interpolate(
            self.positions, size=(rows, columns), mode="bicubic", align_corners=False
        )


@cache
def bicubic(old: int, new: int) -> Tensor:
    """(new, old) float32: bicubic interpolation of `old` values to `new`, as a matrix."""
    values = torch.eye(old).view(old, 1, old, 1)
    spread = F.interpolate(values, size=(new, 1), mode="bicubic", align_corners=False)
    return spread[:, 0, :, 0].T.contiguous()


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
