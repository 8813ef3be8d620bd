"""The ViT in an exported segmenter: read back from its ONNX file, so that training goes on.

The exporter transposes the weights of linear layers and adds the class token to its position. How
that sum was split is not in the file; what the ViT computes is restored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.base import WeightsError
from models.dino.vit import Shape, ViT
from models.onnx.constants import Array, Constants, Layer
from models.onnx.fill import layers_of, pairs, put
from models.serving.runtime import Runtime

TOLERANCE = 1e-4  # the largest difference between the file and what was restored from it
HEAD = 64  # width of an attention head, in all ViTs of ours
POSITIONS = "network.vit.positions"


class Exported(Constants):
    """The constants of a segmenter, and the side of its square input. ValueError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        sizes = [d.dim_value for i in self.graph.input for d in i.type.tensor_type.shape.dim]
        if len(sizes) != 4 or sizes[:2] != [1, 3] or sizes[2] != sizes[3] or not sizes[3]:
            raise ValueError(f"its input is {sizes}, not one square picture")
        self.side = int(sizes[3])

    def shape(self) -> Shape:
        """Of its ViT, as far as the weights tell; 64 of its width to a head. ValueError."""
        embed = next((values[0] for _, values in self.used("Conv")), None)
        positions = self.constant(POSITIONS)
        if embed is None or embed.ndim != 4 or positions is None or positions.ndim != 4:
            raise ValueError("it holds no ViT")
        width, patch, grid = embed.shape[0], embed.shape[-1], positions.shape[-1]
        depth = (len(self.layers("LayerNormalization")) - 1) // 2
        return Shape(width, depth, max(1, width // HEAD), patch, grid)

    def head(self) -> list[Layer]:
        """Of the embedding: none, or two layers with a GELU between them."""
        return self.layers("Gemm")

    def linear(self) -> list[Layer]:
        """Of the ViT. Their bias is added by a node of its own."""
        biases = {
            name: bias
            for node in self.graph.node
            if node.op_type == "Add"
            for name, other in (node.input, reversed(node.input))
            if (bias := self.constant(other)) is not None
        }
        found = self.used("MatMul")
        return [Layer(values[0].T, biases[out]) for out, values in found if out in biases]


def load_exported(path: Path, shape: Shape | None = None) -> ViT:
    """The ViT of the segmenter in `path`, in eval mode; `shape`: None for what the file tells.

    ValueError when it is no such file, or its ViT has another architecture.
    """
    try:
        file = Exported(path)
        vit = ViT(shape or file.shape()).eval()
        for layer in file.layers("Conv")[:1]:  # the patches: the first of its convolutions
            put(vit.embed.weight, layer.weight)
            put(vit.embed.bias, layer.bias)
        fill_blocks(vit, file)
        difference = _disagreement(vit, path, file)
    except (ValueError, WeightsError) as error:
        raise ValueError(f"{path} cannot be trained further: {error}") from error
    if not difference <= TOLERANCE:
        raise ValueError(f"{path} cannot be trained further: its ViT differs by {difference:.2g}")
    return vit


@torch.no_grad()
def fill_blocks(vit: ViT, file: Exported) -> None:
    """All of the ViT but the convolution that makes patches. ValueError."""
    for linear, layer in pairs("linear layers", layers_of(vit, nn.Linear), file.linear()):
        put(linear.weight, layer.weight)
        put(linear.bias, layer.bias)
    found = file.layers("LayerNormalization")
    for layer_norm, layer in pairs("layer norms", layers_of(vit, nn.LayerNorm), found):
        put(layer_norm.weight, layer.weight)
        put(layer_norm.bias, layer.bias)
    put(vit.positions, file.constant(POSITIONS))
    tokens = [v for _, values in file.used("Expand") for v in values if v.ndim == 3]
    put(vit.cls, tokens[0] if tokens else None)
    vit.cls_position.zero_()  # the file has the sum of both


def random_pictures(side: int, count: int = 2) -> list[Array]:
    """`count` pictures (1, 3, side, side) of noise in [0, 1), the same each time."""
    rng = np.random.default_rng(0)
    return [rng.random((1, 3, side, side), np.float32) for _ in range(count)]


@torch.no_grad()
def _disagreement(vit: ViT, path: Path, file: Exported) -> float:
    """The largest difference between the ViT's embedding and the file's."""
    runtime, apart = Runtime(threads=1, exact=True), [0.0]
    for picture in random_pictures(file.side):
        theirs = runtime.run(path, {"image": picture})[-1]
        ours = _embedding(vit(torch.from_numpy(picture)), file.head())
        apart.append(float(np.abs(ours.numpy() - theirs).max()))
    return float(np.max(apart))  # NaN when there is one, which `max` would pass over


def _embedding(tokens: Tensor, head: list[Layer]) -> Tensor:
    """Class token and mean patch, or what the head makes of them, as the segmenter gives it out."""
    x = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
    for number, layer in enumerate(head):
        x = F.linear(F.gelu(x) if number else x, *map(torch.from_numpy, layer))
    return F.normalize(x, dim=-1)
