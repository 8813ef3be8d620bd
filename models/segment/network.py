"""The segmentation network: a ViT, a light convolutional decoder, a skip from the image.

Two outputs from one pass: the mask and the image embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.dino.vit import Shape, ViT


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, stride), convolution(outputs, outputs))


class SegmentNet(nn.Module):
    """(B, 3, H, W) float RGB in [0, 1], H and W multiples of 16 →
    logits (B, 1, H, W) and embedding (B, 2·width), not normalised.

    A U-shaped decoder whose deepest level is the ViT's grid of patches. Its other levels come from
    the image itself, so that an edge is finer than a patch.
    """

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.vit = ViT(shape)
        self.stem2 = twice(3, 24, stride=2)  # H/2
        self.stem4 = twice(24, 48, stride=2)  # H/4
        self.stem8 = twice(48, 96, stride=2)  # H/8
        self.stem16 = convolution(96, 128, stride=2)  # H/16
        self.tokens = nn.Conv2d(self.vit.shape.width, 128, 1)
        self.deep = convolution(256, 128)
        self.up8 = twice(128 + 96, 96)
        self.up4 = twice(96 + 48, 48)
        self.up2 = twice(48 + 24, 24)
        self.mask = nn.Conv2d(24, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        patch = self.vit.shape.patch
        tokens = self.vit(x)
        cls, patches = tokens[:, 0], tokens[:, 1:]
        grid = patches.transpose(1, 2).reshape(
            x.shape[0], -1, x.shape[-2] // patch, x.shape[-1] // patch
        )
        x2 = self.stem2(x)
        x4 = self.stem4(x2)
        x8 = self.stem8(x4)
        x16 = self.stem16(x8)
        y = self.deep(torch.cat([resize(self.tokens(grid), x16), x16], 1))
        y = self.up8(torch.cat([resize(y, x8), x8], 1))
        y = self.up4(torch.cat([resize(y, x4), x4], 1))
        y = self.up2(torch.cat([resize(y, x2), x2], 1))
        return resize(self.mask(y), x), torch.cat([cls, patches.mean(1)], 1)


def resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class Served(nn.Module):
    """What is exported: probability (B, 1, H, W) and L2-normalised embedding."""

    def __init__(self, network: SegmentNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, embedding = self.network(x)
        return torch.sigmoid(logits), F.normalize(embedding, dim=-1)
