"""The head of DINO: features → similarity to prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.dino.distributed import BatchNorm


class Head(nn.Module):
    """(B, width) features → (B, outputs) cosines: an MLP, then unit prototypes.

    With `norm` "batch", the MLP has batch norms: they kept small runs from drifting to uniform
    outputs. "none" is the head of the DINO paper's ViTs, in which no photo sees another.
    """

    def __init__(
        self,
        width: int,
        outputs: int = 1024,
        hidden: int = 512,
        bottleneck: int = 128,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        plain = norm == "none"
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden, bias=plain), _norm(norm, hidden), nn.GELU(),
            nn.Linear(hidden, hidden, bias=plain), _norm(norm, hidden), nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )  # fmt: skip
        self.prototypes = nn.Parameter(torch.randn(outputs, bottleneck))

    def forward(self, x: Tensor) -> Tensor:
        points = F.normalize(self.mlp(x), dim=-1)
        return points @ F.normalize(self.prototypes, dim=-1).T


def _norm(norm: str, width: int) -> nn.Module:
    return BatchNorm(width) if norm == "batch" else nn.Identity()
