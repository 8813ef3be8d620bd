"""Official DINO weights in the hub's layout → our ViT.

A folder such as a download of `facebook/dino-vits16` (Apache-2.0): `config.json`, and
`model.safetensors` or `pytorch_model.bin`, with the names of transformers' ViTModel. Neither
transformers nor the network is needed to read it, and nothing in it is executed.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.base import WeightsError
from models.dino.vit import Shape, ViT

FILES = ("model.safetensors", "pytorch_model.bin")
NAMES = {  # ours: theirs, in every layer
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attention.out": "attention.output.dense",
    "mlp.0": "intermediate.dense",
    "mlp.2": "output.dense",
}

State = dict[str, Tensor]


def load_hub(folder: Path, grid: int | None = None) -> ViT:
    """The ViT in `folder`, in its own shape; its tokens equal those of transformers' ViTModel.

    Positions are kept on the grid they were learned on, and interpolated (bicubic) for pictures of
    another size; with `grid`, once and for all to grid × grid. WeightsError when the folder holds
    something else.
    """
    shape = _shape(_config(folder))
    try:
        state = _translated(_state(weight_file(folder)), shape)
        vit = ViT(shape)
        vit.load_state_dict(state)
    except KeyError as error:
        raise WeightsError(f"{folder}: the weights have no {error.args[0]}") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{folder}: the weights do not fit config.json: {reason}") from error
    return vit if grid in {None, shape.grid} else regridded(vit, int(grid or 0))


def regridded(vit: ViT, grid: int) -> ViT:
    """The same ViT with its positions interpolated to grid × grid."""
    if grid < 1:
        raise ValueError(f"a grid of {grid}")
    other = ViT(vit.shape._replace(grid=grid))
    with torch.no_grad():
        other.load_state_dict(vit.state_dict() | {"positions": vit.positions_for(grid, grid)})
    return other


def weight_file(folder: Path) -> Path:
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder} holds neither {FILES[0]} nor {FILES[1]}")


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: config.json cannot be read: {error}") from error
    if not isinstance(config, dict) or config.get("model_type", "vit") != "vit":
        raise WeightsError(f"{folder}: config.json describes no ViT")
    return config


def _shape(config: dict[str, Any]) -> Shape:
    """Of what config.json leaves out, transformers' defaults hold."""
    wanted = {"qkv_bias": True, "hidden_act": "gelu", "num_channels": 3}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise WeightsError(f"config.json: {key} is {config[key]!r}, only {value!r} is known")
    try:
        width, depth = int(config.get("hidden_size", 768)), int(config.get("num_hidden_layers", 12))
        heads, patch = (
            int(config.get("num_attention_heads", 12)),
            int(config.get("patch_size", 16)),
        )
        size, eps = int(config.get("image_size", 224)), float(config.get("layer_norm_eps", 1e-12))
        inner = int(config.get("intermediate_size", 4 * width))
    except (TypeError, ValueError) as error:
        raise WeightsError(f"config.json: {error}") from error
    if min(width, depth, heads, patch, size) < 1 or width % heads or size % patch:
        raise WeightsError("config.json: sizes that do not fit each other")
    if inner != 4 * width:
        raise WeightsError(f"config.json: intermediate_size {inner} is not 4 * hidden_size")
    return Shape(width, depth, heads, patch, size // patch, eps)


def _state(path: Path) -> State:
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} cannot be read: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(x, Tensor) for x in state.values()):
        raise WeightsError(f"{path} holds no named weights")
    return {str(name).removeprefix("vit."): value.float() for name, value in state.items()}


def _translated(theirs: State, shape: Shape) -> State:
    positions = theirs["embeddings.position_embeddings"]
    if positions.shape != (1, 1 + shape.grid**2, shape.width):
        raise WeightsError(
            f"positions of shape {tuple(positions.shape)} do not fit {shape.grid} x {shape.grid} "
            f"patches of width {shape.width}"
        )
    grid = positions[:, 1:].transpose(1, 2).reshape(1, shape.width, shape.grid, shape.grid)
    ours = {"cls": theirs["embeddings.cls_token"], "cls_position": positions[:, :1]}
    ours["positions"] = grid.contiguous()
    for kind in ("weight", "bias"):
        ours[f"embed.{kind}"] = theirs[f"embeddings.patch_embeddings.projection.{kind}"]
        ours[f"norm.{kind}"] = theirs[f"layernorm.{kind}"]
        for layer in range(shape.depth):
            there = f"encoder.layer.{layer}"
            for name, other in NAMES.items():
                ours[f"blocks.{layer}.{name}.{kind}"] = theirs[f"{there}.{other}.{kind}"]
            ours[f"blocks.{layer}.attention.qkv.{kind}"] = torch.cat(
                [
                    theirs[f"{there}.attention.attention.{x}.{kind}"]
                    for x in ("query", "key", "value")
                ]
            )
    return ours
