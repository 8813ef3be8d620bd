"""A network that starts with the function of an exported one, also with more layers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.onnx.constants import Constants
from models.superres.network import Compact, shape_of


def started(path: Path, scale: int, depth: int | None = None) -> Compact:
    """The network of an ONNX file, with `depth` hidden convolutions (None: as usual).

    Added layers come before the last one and start as the identity (Net2Net, Chen 2016), so the
    deeper network gives the same image until it learns. Raises ValueError if the network in the
    file has another scale, or is wider or deeper.
    """
    file = Constants(path)
    convolutions = file.layers("Conv")
    slopes = [values[-1] for _, values in file.used("PRelu")]
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
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
            if place < known:
                rectifiers[place].weight.copy_(torch.tensor(slopes[place].flatten()))
    return network
