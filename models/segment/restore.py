"""From an exported ONNX file back to the torch network it was made from, so that training goes on.

python -m models.segment.restore --network models/embedded/segment.onnx   (does it fit?)

The exporter transposes the weights of linear layers, folds batch norms into the convolutions before
them, and adds the class token to its position. What the network computes is restored from that; how
a sum was split is not in the file. A restored network agrees with its file, or is refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.base import WeightsError
from models.dino.vit import Shape
from models.onnx.read import Array, Constants, Layer
from models.segment.network import SegmentNet, Served
from models.segment.settle import statistics
from models.serving.runtime import Runtime

TOLERANCE = 1e-4  # the largest difference between the file and what was restored from it
POSITIONS = "network.vit.positions"

Kind = TypeVar("Kind", bound=nn.Module)
Norms = dict[nn.Module, nn.BatchNorm2d]  # by the convolution before


class File(Constants):
    """Of a segmenter. ValueError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        sizes = [d.dim_value for i in self.graph.input for d in i.type.tensor_type.shape.dim]
        if len(sizes) != 4 or sizes[:2] != [1, 3] or sizes[2] != sizes[3] or not sizes[3]:
            raise ValueError(f"its input is {sizes}, not one square picture")
        self.side = int(sizes[3])

    def linear(self) -> list[Layer]:
        """Their bias is added by a node of its own."""
        biases = {
            name: bias
            for node in self.graph.node
            if node.op_type == "Add"
            for name, other in (node.input, reversed(node.input))
            if (bias := self.constant(other)) is not None
        }
        found = self.used("MatMul")
        return [Layer(values[0].T, biases[out]) for out, values in found if out in biases]


def restore(path: Path, shape: Shape | None = None) -> SegmentNet:
    """The network that `path` was exported from, in eval mode; before training, `settle` it.

    ValueError when it is no such file, or has another architecture than SegmentNet(shape).
    """
    try:
        file = File(path)
        network = SegmentNet(shape).eval()
        _fill(network, file)
        difference = disagreement(network, path, file.side)
    except (ValueError, WeightsError) as error:
        raise ValueError(f"{path} cannot be trained further: {error}") from error
    if not difference <= TOLERANCE:
        raise ValueError(f"{path} cannot be trained further: its copy differs by {difference:.2g}")
    return network


def disagreement(network: SegmentNet, path: Path, side: int, pictures: int = 2) -> float:
    """The largest difference between a network and a file, on random pictures of side × side."""
    served, runtime, apart = Served(network).eval(), Runtime(threads=1), [0.0]
    rng = np.random.default_rng(0)
    for _ in range(pictures):
        picture = rng.random((1, 3, side, side), np.float32)
        with torch.no_grad():
            ours = served(torch.from_numpy(picture))
        for mine, theirs in zip(ours, runtime.run(path, {"image": picture}), strict=True):
            apart.append(float(np.abs(mine.numpy() - theirs).max()))
    return float(np.max(apart))  # NaN when there is one, which `max` would pass over


@torch.no_grad()
def _fill(network: SegmentNet, file: File) -> None:
    """The network lists its layers in the order in which they compute, as the file does."""
    norms = _norms(network)
    for conv, layer in _pairs("convolutions", _of(network, nn.Conv2d), file.layers("Conv")):
        _put(conv.weight, layer.weight)
        norm = norms.get(conv)
        if norm is not None:
            _neutral(norm)
        _put(conv.bias if norm is None else norm.bias, layer.bias)
    for linear, layer in _pairs("linear layers", _of(network, nn.Linear), file.linear()):
        _put(linear.weight, layer.weight)
        _put(linear.bias, layer.bias)
    found = file.layers("LayerNormalization")
    for layer_norm, layer in _pairs("layer norms", _of(network, nn.LayerNorm), found):
        _put(layer_norm.weight, layer.weight)
        _put(layer_norm.bias, layer.bias)
    _put(network.vit.positions, file.constant(POSITIONS))
    tokens = [v for _, values in file.used("Expand") for v in values if v.ndim == 3]
    _put(network.vit.cls, tokens[0] if tokens else None)
    network.vit.cls_position.zero_()  # the file has the sum of both


def _norms(network: nn.Module) -> Norms:
    """Of each convolution that has one, the batch norm after it."""
    return {
        first: second
        for layers in _of(network, nn.Sequential)
        for first, second in zip(layers, list(layers)[1:], strict=False)
        if isinstance(second, nn.BatchNorm2d)
    }


def _neutral(norm: nn.BatchNorm2d) -> None:
    """It only adds its bias."""
    mean, variance = statistics(norm)
    mean.zero_()
    variance.fill_(1 - norm.eps)
    norm.weight.fill_(1)


def _of(network: nn.Module, kind: type[Kind]) -> list[Kind]:
    return [module for module in network.modules() if isinstance(module, kind)]


def _pairs(what: str, ours: list[Kind], theirs: list[Layer]) -> list[tuple[Kind, Layer]]:
    if len(ours) != len(theirs):
        raise ValueError(f"it has {len(theirs)} {what}, not {len(ours)}")
    return list(zip(ours, theirs, strict=True))


def _put(parameter: Tensor | None, value: Array | None) -> None:
    wanted = None if parameter is None else tuple(parameter.shape)
    found = None if value is None else value.shape
    if parameter is None or value is None or wanted != found:
        raise ValueError(f"weights of {found} stand where a SegmentNet has {wanted}")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True, help="an ONNX file of ours")
    try:
        restore(parser.parse_args().network)
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
