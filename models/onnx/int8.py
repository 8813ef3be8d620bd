"""Weights in eight bits: one scale for each output channel, symmetric, nothing else lost.

A network is rounded first, so that what is measured in torch is what is shipped; the file then
keeps every weight that lies on such a grid as whole numbers. It computes in float as before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

LEAST = 4096  # values: smaller weights are not worth it
LARGEST = 127
OFF = 1e-3  # of a step: so near to the grid lies what was rounded to it

Floats = NDArray[np.float32]


class Rounded(NamedTuple):
    values: NDArray[np.int8]
    scales: Floats  # (C,): of the channels along `axis`
    axis: int


def rounded(weights: Floats, axis: int = 0) -> Rounded:
    """To the nearest of 255 steps that reach as far as the channel's largest weight."""
    scales = _scales(weights, axis)
    steps = np.rint(weights / _along(scales, weights.ndim, axis))
    return Rounded(steps.astype(np.int8), scales, axis)


def restored(found: Rounded) -> Floats:
    weights: Floats = found.values * _along(found.scales, found.values.ndim, found.axis)
    return weights


def on_a_grid(weights: Floats) -> Rounded | None:
    """The whole numbers that `weights` are multiples by; None when they are not."""
    if weights.ndim < 2 or weights.size < LEAST:
        return None
    for axis in (0, 1):
        steps = weights / _along(_scales(weights, axis), weights.ndim, axis)
        if float(np.abs(steps - np.rint(steps)).max()) < OFF:
            return rounded(weights, axis)
    return None


@torch.no_grad()
def round_to_int8(network: nn.Module) -> None:
    """The weights of all larger linear layers and convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.numel() >= LEAST:
            weights = restored(rounded(module.weight.numpy()))
            module.weight.copy_(torch.from_numpy(weights))


def _scales(weights: Floats, axis: int) -> Floats:
    others = tuple(number for number in range(weights.ndim) if number != axis)
    largest = np.abs(weights).max(axis=others)
    scales: Floats = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return scales


def _along(scales: Floats, dimensions: int, axis: int) -> Floats:
    shape = [1] * dimensions
    shape[axis] = -1
    return scales.reshape(shape)
