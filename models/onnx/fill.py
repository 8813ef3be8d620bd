"""Weights from an ONNX file into a torch network that lists its layers in the file's order."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.onnx.constants import Array, Layer

Kind = TypeVar("Kind", bound=nn.Module)


def layers_of(network: nn.Module, kind: type[Kind]) -> list[Kind]:
    return [module for module in network.modules() if isinstance(module, kind)]


def pairs(what: str, ours: list[Kind], theirs: list[Layer]) -> list[tuple[Kind, Layer]]:
    """Each layer of the network with the file's. ValueError when their numbers differ."""
    if len(ours) != len(theirs):
        raise ValueError(f"it has {len(theirs)} {what}, not {len(ours)}")
    return list(zip(ours, theirs, strict=True))


def put(parameter: Tensor | None, value: Array | None) -> None:
    """Overwrite a parameter. ValueError for another shape, or when one of them is missing."""
    wanted = None if parameter is None else tuple(parameter.shape)
    found = None if value is None else value.shape
    if parameter is None or value is None or wanted != found:
        raise ValueError(f"weights of {found} stand where the network has {wanted}")
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
