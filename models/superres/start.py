"""A network that begins as an exported one does, however many layers more it has."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.superres.network import Compact, shape_of


def started(path: Path, scale: int, depth: int | None = None) -> Compact:
    """The network of an ONNX file, with `depth` hidden convolutions (None: as usual).

    Added layers go in before the last one and begin as the identity (Net2Net, Chen 2016), so the
    deeper network gives the same picture until it learns. Raises ValueError when the file holds a
    network of another scale, a wider or a deeper one.
    """
    convolutions, slopes = _weights(path)
    network = Compact(scale, shape_of(scale, depth))
    own = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    rectifiers = [layer for layer in network.body if isinstance(layer, nn.PReLU)]
    known = len(slopes)  # layers with a rectifier
    if known > len(rectifiers) or len(convolutions) != known + 1:
        raise ValueError(f"{path} has {known} layers, more than {len(rectifiers)}")
    last = len(own) - 1
    with torch.no_grad():
        for place, layer in enumerate(own):
            if known <= place < last:
                nn.init.dirac_(layer.weight)
                nn.init.zeros_(layer.bias)
                rectifiers[place].weight.fill_(1.0)
                continue
            weight, bias = convolutions[known if place == last else place]
            if weight.shape != layer.weight.shape:
                raise ValueError(f"{path} has another width or scale: {tuple(weight.shape)}")
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            if place < known:
                rectifiers[place].weight.copy_(slopes[place])
    return network


def _weights(path: Path) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
    """Weight and bias of each convolution and the slopes of each PReLU, in their order."""
    graph = onnx.load(path).graph
    found = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in found:  # equal weights are kept once
            found[node.output[0]] = found[node.input[0]]
    try:
        convolutions = [
            (found[node.input[1]], found[node.input[2]])
            for node in graph.node
            if node.op_type == "Conv"
        ]
        slopes = [found[node.input[1]].flatten() for node in graph.node if node.op_type == "PRelu"]
    except (KeyError, IndexError) as error:
        raise ValueError(f"{path} is no super-resolution network of ours: {error}") from error
    return convolutions, slopes
