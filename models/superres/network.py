"""The super-resolution network: SRVGG class, with all layers at low resolution.

A chain of 3×3 convolutions with PReLU, a pixel shuffle at the end, and the input itself, enlarged
bilinearly, added to the result: the network learns only what interpolation misses. For ×2 the input
is first folded (2×2 pixels into channels), so both scales work on the same small grid.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows


class CompactShape(NamedTuple):
    features: int
    depth: int  # hidden convolutions
    fold: int  # H and W must be multiples of it


SHAPES = {
    4: CompactShape(48, 8, 1),
    2: CompactShape(48, 7, 2),
}  # by scale; chosen by measured speed


def shape_of(scale: int, depth: int | None = None) -> CompactShape:
    """The usual shape of a scale, or the same with another depth."""
    return SHAPES[scale] if depth is None else SHAPES[scale]._replace(depth=depth)


class Compact(nn.Module):
    """(B, 3, H, W) float in [0, 1] → (B, 3, H·scale, W·scale) float, about [0, 1], not clipped."""

    def __init__(self, scale: int, shape: CompactShape | None = None) -> None:
        super().__init__()
        self.scale = scale
        self.shape = shape or SHAPES[scale]
        width, depth, fold = self.shape
        layers: list[nn.Module] = [nn.Conv2d(3 * fold**2, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        last = nn.Conv2d(width, 3 * (fold * scale) ** 2, 3, padding=1)
        nn.init.zeros_(last.weight)  # training starts as plain interpolation
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.fold = nn.PixelUnshuffle(fold)
        self.body = nn.Sequential(*layers, last)
        self.unfold = nn.PixelShuffle(fold * scale)

    @property
    def reach(self) -> int:
        """How many input pixels away, on each side, influence an output pixel."""
        return (self.shape.depth + 2) * self.shape.fold + self.shape.fold - 1

    def forward(self, x: Tensor) -> Tensor:
        skip = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear")
        out: Tensor = self.unfold(self.body(self.fold(x))) + skip  # (B, 3, H·scale, W·scale)
        return out
