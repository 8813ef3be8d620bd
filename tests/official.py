"""Tiny random networks, saved as the official files are, on a shelf in a folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.base import Image
from models.official.catalogue import CATALOGUE, File
from models.official.shelf import Record, Shelf, sum_of


def picture(height: int, width: int) -> Image:
    """Waves, edges and grain."""
    rng = np.random.default_rng(height * 1000 + width)
    y, x = np.mgrid[:height, :width]
    base = 120 + 80 * np.sin(x / 7 + np.sin(y / 5)) + 40 * ((x // 9 + y // 11) % 2)
    grain = rng.normal(0, 6, (height, width, 3))
    return np.clip(base[..., None] * (1, 0.8, 0.6) + grain, 0, 255).astype(np.uint8)


def put(home: Path, name: str, save: Callable[[Path], None], file: File | None = None) -> Path:
    """What `save` writes to a path, taken note of as a file of the pack `name`."""
    shelf = Shelf(home, CATALOGUE[name])
    file = file or CATALOGUE[name].files[-1]
    shelf.folder.mkdir(parents=True, exist_ok=True)
    path = shelf.path(file)
    save(path)
    shelf.record(file, Record(sum_of(path), path.stat().st_size, "first download"))
    return path


def unpinned(monkeypatch: Any) -> None:
    """Tiny stand-ins cannot have the sums of the catalogue."""
    for name, pack in list(CATALOGUE.items()):
        files = tuple(File(f.name, f.url, f.bytes, "", f.instead) for f in pack.files)
        monkeypatch.setitem(CATALOGUE, name, _with(pack, files))


def _with(pack: Any, files: tuple[File, ...]) -> Any:
    from dataclasses import replace

    return replace(pack, files=files)


def compact(convolutions: int = 2) -> Any:
    """Real-ESRGAN's compact network, ×4. It sees convolutions + 2 pixels each way."""
    import torch
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    return Compact(num_feat=8, num_conv=convolutions, upscale=4).eval()


def rrdb(blocks: int = 1) -> Any:
    """RRDBNet ×4, with the names of the official file."""
    import torch
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    return ESRGAN(num_filters=8, num_blocks=blocks, scale=4).eval()


def swinir() -> Any:
    import torch
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        return SwinIR(
            img_size=64, window_size=8, embed_dim=12, depths=[2, 2], num_heads=[2, 2], mlp_ratio=2,
            upscale=4, img_range=1.0, upsampler="nearest+conv", resi_connection="1conv",
        ).eval()  # fmt: skip


def saved(network: Any, key: str) -> Callable[[Path], None]:
    """{'params': …} or {'params_ema': …}, as Real-ESRGAN and SwinIR publish."""
    import torch

    return lambda path: torch.save({key: network.state_dict()}, path)


def sam() -> Any:
    """segment-anything of 64 × 64 px and two layers, by the real classes."""
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=24, depth=2, num_heads=3, out_chans=32,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=2,
        global_attn_indexes=(1,),
    )  # fmt: skip
    prompts = PromptEncoder(32, (4, 4), (64, 64), mask_in_chans=16)
    decoder = MaskDecoder(
        transformer_dim=32,
        transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=8, mlp_dim=48),
        iou_head_depth=3,
        iou_head_hidden_dim=16,
    )
    network = Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    for parameter in network.parameters():  # zeros, as many are at first, would hide mistakes
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def save_dino(folder: Path, width: int = 24, depth: int = 2, heads: int = 3) -> Any:
    """transformers' ViTModel in the hub's layout: config.json and model.safetensors."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
        intermediate_size=4 * width, image_size=64, patch_size=16, layer_norm_eps=1e-12,
    )  # fmt: skip
    vit = ViTModel(config, add_pooling_layer=False).eval()
    vit.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "vit"
    return vit
