"""What an ONNX file of ours holds, for going on with its training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

RENAMING = {"Identity", "Cast"}  # weights that are equal are kept once, others at half precision

Array = NDArray[np.float32]


class Layer(NamedTuple):
    weight: Array
    bias: Array


class Constants:
    """The constants of an ONNX file, in the order in which they are used. ValueError."""

    def __init__(self, path: Path) -> None:
        try:
            self.graph = onnx.load(path).graph
        except (OSError, DecodeError) as error:
            raise ValueError(f"it cannot be read as ONNX: {error}") from error
        self._stored = {tensor.name: tensor for tensor in self.graph.initializer}
        self._same = {n.output[0]: n.input[0] for n in self.graph.node if n.op_type in RENAMING}
        self._scaled = {n.output[0]: n for n in self.graph.node if n.op_type == "DequantizeLinear"}

    def constant(self, name: str) -> Array | None:
        """None for what is computed."""
        while name in self._same:
            name = self._same[name]
        if name in self._scaled:
            return self._dequantized(self._scaled[name])
        found = self._stored.get(name)
        return None if found is None else numpy_helper.to_array(found).astype(np.float32)

    def _dequantized(self, node: onnx.NodeProto) -> Array | None:
        """Of whole numbers with a scale for each channel, as `models.onnx.int8` stores them."""
        values, scales = (self.constant(name) for name in node.input[:2])
        if values is None or scales is None:
            return None
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [1] * values.ndim
        shape[axis] = -1
        return values * scales.reshape(shape)

    def used(self, kind: str) -> Iterator[tuple[str, list[Array]]]:
        """The output of each node of this kind that uses constants, and these."""
        for node in self.graph.node:
            if node.op_type == kind:
                found = [value for n in node.input if (value := self.constant(n)) is not None]
                if found:
                    yield node.output[0], found

    def layers(self, kind: str) -> list[Layer]:
        """Convolutions or layer norms."""
        return [Layer(values[0], values[1]) for _, values in self.used(kind) if len(values) == 2]
