"""The control without a transformer: a plain U-Net of about the size of the ViT with its head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.segment.network import convolution, resize

WIDTHS = (24, 48, 96, 160)  # 1.5 million parameters


def twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, stride), convolution(outputs, outputs))


class UNet(nn.Module):
    """(B, 3, H, W) float RGB in [0, 1] → logits (B, 1, H, W) and embedding (B, 160).

    Ronneberger et al., "U-Net", MICCAI 2015, with strided convolutions and bilinear upsampling.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.vit = nn.Identity()  # the trainer gives a ViT its own learning rate; here is none
        inputs = (3, *widths)
        self.down = nn.ModuleList(
            twice(i, o, stride=2) for i, o in zip(inputs, widths, strict=False)
        )
        self.deepest = twice(widths[-1], widths[-1], stride=2)
        above = (*widths[::-1][1:], 16)
        self.up = nn.ModuleList(
            twice(below + skip, o)
            for below, skip, o in zip((widths[-1], *above), widths[::-1], above, strict=False)
        )
        self.mask = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = []
        y = x
        for down in self.down:
            y = down(y)
            seen.append(y)
        y = self.deepest(y)
        embedding = y.mean((2, 3))
        for up, skip in zip(self.up, reversed(seen), strict=True):
            y = up(torch.cat([resize(y, skip), skip], 1))
        return resize(self.mask(y), x), embedding
