"""The segmentation network: a ViT, a light convolutional decoder, a skip from the image.

Two outputs from one pass: the mask and the image embedding.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.dino.vit import Shape, ViT

FULL, LIGHT = (24, 48, 96, 128), (16, 32, 64, 96)  # channels at H/2, H/4, H/8, H/16
HEAD = 64  # width of an attention head, in all ViTs of ours
HIDDEN = 384  # of the head that makes the embedding


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, stride), convolution(outputs, outputs))


class SegmentNet(nn.Module):
    """(B, 3, H, W) float RGB in [0, 1], H and W multiples of 16 and of the patch →
    logits (B, 1, H, W) and embedding (B, dimensions), not normalised.

    A U-shaped decoder whose deepest level is the ViT's grid of patches. Its other levels come from
    the image itself, so that an edge is finer than a patch. The embedding is the class token and
    the mean of the patches (2 · width); with `dimensions`, what a small head makes of them.
    `light`: half as many convolutions, narrower, for a ViT that has learned to tell objects.
    """

    def __init__(
        self, shape: Shape | None = None, dimensions: int | None = None, *, light: bool = False
    ) -> None:
        super().__init__()
        self.vit = ViT(shape)
        width = self.vit.shape.width
        a, b, c, d = LIGHT if light else FULL
        layers = convolution if light else twice
        self.stem2 = layers(3, a, stride=2)  # H/2
        self.stem4 = layers(a, b, stride=2)  # H/4
        self.stem8 = layers(b, c, stride=2)  # H/8
        self.stem16 = convolution(c, d, stride=2)  # H/16
        self.tokens = nn.Conv2d(width, d, 1)
        self.deep = convolution(2 * d, d)
        self.up8 = layers(d + c, c)
        self.up4 = layers(c + b, b)
        self.up2 = layers(b + a, a)
        self.mask = nn.Conv2d(a, 1, 1)
        self.dimensions = dimensions or 2 * width
        self.project = nn.Sequential(
            nn.Linear(2 * width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, dimensions)
        ) if dimensions else nn.Identity()  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(x, self.vit(x))

    def read(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Both outputs from the ViT's `tokens` of the picture `x`."""
        patch = self.vit.shape.patch
        cls, patches = tokens[:, 0], tokens[:, 1:]
        grid = patches.transpose(1, 2).reshape(
            x.shape[0], -1, x.shape[-2] // patch, x.shape[-1] // patch
        )
        x2 = self.stem2(x)
        x4 = self.stem4(x2)
        x8 = self.stem8(x4)
        x16 = self.stem16(x8)
        seen = self.tokens(grid)
        y = self.deep(torch.cat([seen, resize(x16, seen)], 1))
        y = self.up8(torch.cat([resize(y, x8), x8], 1))
        y = self.up4(torch.cat([resize(y, x4), x4], 1))
        y = self.up2(torch.cat([resize(y, x2), x2], 1))
        embedding = self.project(torch.cat([cls, patches.mean(1)], 1))
        return resize(self.mask(y), x), embedding


def network_of(state: Mapping[str, Tensor]) -> SegmentNet:
    """The network that these weights are of; 64 of its ViT's width to a head. ValueError."""
    try:
        embed, positions = state["vit.embed.weight"], state["vit.positions"]
        depth = len({name.split(".")[2] for name in state if name.startswith("vit.blocks.")})
        width, patch = embed.shape[0], embed.shape[-1]
        shape = Shape(width, depth, max(1, width // HEAD), patch, positions.shape[-1])
        head = state.get("project.2.bias")
        light = "stem2.0.weight" in state  # one convolution where the full decoder has two
        network = SegmentNet(shape, None if head is None else len(head), light=light)
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"no weights of a SegmentNet: {' '.join(str(error).split())}") from error
    return network


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
