"""From an exported ONNX file back to the torch network it was made from, so that training goes on.

python -m models.segment.restore --network models/embedded/segment.onnx   (does it fit?)

The exporter folds batch norms into the convolutions before them; what it does to the ViT says
`models.dino.exported`. What the network computes is restored from that. A restored network agrees
with its file, or is refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.base import WeightsError
from models.dino.exported import TOLERANCE, Exported, fill_blocks, random_pictures
from models.dino.vit import Shape
from models.onnx.fill import layers_of, pairs, put
from models.segment.network import SegmentNet, Served
from models.segment.settle import statistics
from models.serving.runtime import Runtime

LIGHT_LAYERS = 11  # convolutions of a network with the light decoder; the full one has 17
Norms = dict[nn.Module, nn.BatchNorm2d]  # by the convolution before


def restore(path: Path, shape: Shape | None = None) -> SegmentNet:
    """The network that `path` was exported from, in eval mode; before training, `settle` it.

    `shape` of its ViT: None for what the file tells. ValueError when it is no such file, or has
    another architecture.
    """
    try:
        file = Exported(path)
        network = _like(file, shape).eval()
        _fill(network, file)
        difference = disagreement(network, path, file.side)
    except (ValueError, WeightsError) as error:
        raise ValueError(f"{path} cannot be trained further: {error}") from error
    if not difference <= TOLERANCE:
        raise ValueError(f"{path} cannot be trained further: its copy differs by {difference:.2g}")
    return network


def _like(file: Exported, shape: Shape | None) -> SegmentNet:
    """A network of the file's architecture, its weights still those of chance."""
    head = file.head()
    return SegmentNet(
        shape or file.shape(),
        len(head[-1].bias) if head else None,
        light=len(file.layers("Conv")) <= LIGHT_LAYERS,
    )


def disagreement(network: SegmentNet, path: Path, side: int, pictures: int = 2) -> float:
    """The largest difference between a network and a file, on random pictures of side × side."""
    served, runtime, apart = Served(network).eval(), Runtime(threads=1, exact=True), [0.0]
    for picture in random_pictures(side, pictures):
        with torch.no_grad():
            ours = served(torch.from_numpy(picture))
        for mine, theirs in zip(ours, runtime.run(path, {"image": picture}), strict=True):
            apart.append(float(np.abs(mine.numpy() - theirs).max()))
    return float(np.max(apart))  # NaN when there is one, which `max` would pass over


@torch.no_grad()
def _fill(network: SegmentNet, file: Exported) -> None:
    """The network lists its layers in the order in which they compute, as the file does."""
    norms = _norms(network)
    found = file.layers("Conv")
    for conv, layer in pairs("convolutions", layers_of(network, nn.Conv2d), found):
        put(conv.weight, layer.weight)
        norm = norms.get(conv)
        if norm is not None:
            _neutral(norm)
        put(conv.bias if norm is None else norm.bias, layer.bias)
    fill_blocks(network.vit, file)
    for linear, layer in pairs(
        "layers of a head", layers_of(network.project, nn.Linear), file.head()
    ):
        put(linear.weight, layer.weight)
        put(linear.bias, layer.bias)


def _norms(network: nn.Module) -> Norms:
    """Of each convolution that has one, the batch norm after it."""
    return {
        first: second
        for layers in layers_of(network, nn.Sequential)
        for first, second in zip(layers, list(layers)[1:], strict=False)
        if isinstance(second, nn.BatchNorm2d)
    }


def _neutral(norm: nn.BatchNorm2d) -> None:
    """It only adds its bias."""
    mean, variance = statistics(norm)
    mean.zero_()
    variance.fill_(1 - norm.eps)
    norm.weight.fill_(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True, help="an ONNX file of ours")
    try:
        restore(parser.parse_args().network)
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
