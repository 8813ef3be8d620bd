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
from models.serving.catalogue import CATALOGUE, File
from models.serving.shelf import Record, Shelf, sum_of

SPREAD = 0.5  # of random weights: enough for answers that depend on what was asked


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


def rrdb(features: int = 8, blocks: int = 1, growth: int = 32) -> dict[str, Any]:
    """Random weights with the names and shapes of Real-ESRGAN's RRDBNet ×4."""
    import torch

    random = torch.Generator().manual_seed(0)
    state = {}

    def convolution(name: str, inputs: int, outputs: int) -> None:
        spread = 1.3 / (9 * inputs) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=random) * spread
        state[f"{name}.bias"] = torch.randn(outputs, generator=random) * 0.05

    convolution("conv_first", 3, features)
    for block in range(blocks):
        for part in (1, 2, 3):
            for layer in range(5):
                name = f"body.{block}.rdb{part}.conv{layer + 1}"
                outputs = growth if layer < 4 else features
                convolution(name, features + layer * growth, outputs)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        convolution(name, features, features)
    convolution("conv_last", features, 3)
    state["conv_last.bias"] += 0.5  # middle grey, so that little is cut off
    return state


def swinir() -> Any:
    import torch
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        return SwinIR(
            img_size=64, window_size=8, embed_dim=8, depths=[2], num_heads=[2], mlp_ratio=2,
            upscale=4, img_range=1.0, upsampler="nearest+conv", resi_connection="1conv",
        ).eval()  # fmt: skip


def saved(network: Any, key: str) -> Callable[[Path], None]:
    """{'params': …} or {'params_ema': …}, as Real-ESRGAN and SwinIR publish."""
    import torch

    state = network if isinstance(network, dict) else network.state_dict()
    return lambda path: torch.save({key: state}, path)


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
        torch.nn.init.normal_(parameter, std=SPREAD)
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


def put_hub(home: Path, name: str, save: Callable[[Path], Any]) -> Any:
    """What `save` writes into a folder in the hub's layout, recorded as the files of the pack."""
    shelf = Shelf(home, CATALOGUE[name])
    shelf.folder.mkdir(parents=True, exist_ok=True)
    network = save(shelf.folder)
    for wanted in CATALOGUE[name].files:
        file = next(
            file for file in (wanted, wanted.instead) if file and shelf.path(file).is_file()
        )
        path = shelf.path(file)
        shelf.record(file, Record(sum_of(path), path.stat().st_size, "first download"))
    return network


WORDS = ("a", "dog", "on", "grass", "red", "hoodie", "the", "beach", "cat", "street")


def save_blip(folder: Path) -> Any:
    """BlipForConditionalGeneration of 32 px and one layer, with its processor."""
    import torch
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    torch.manual_seed(0)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")
    vocabulary = {word: number for number, word in enumerate((*special, *WORDS))}
    tokenizer = BertTokenizer(vocab=vocabulary, bos_token="[DEC]", model_max_length=64)
    picture = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(picture, tokenizer).save_pretrained(folder)
    text = {
        "vocab_size": len(vocabulary), "hidden_size": 24, "encoder_hidden_size": 24,
        "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 64, "bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3,
        "sep_token_id": 3,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    return _spread(BlipForConditionalGeneration(config), folder)


def save_florence(folder: Path) -> Any:
    """Florence2ForConditionalGeneration of 32 px, with its processor and byte-level tokenizer."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        BartTokenizer,
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    torch.manual_seed(0)
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    letters = sorted(ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate((*special, *letters))}
    places = [f"<loc_{n}>" for n in range(1000)]
    tokenizer = BartTokenizer(
        vocab=vocabulary, merges=[], model_max_length=1024,
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    tokenizer.add_tokens(places, special_tokens=True)
    picture = CLIPImageProcessor(
        size={"height": 64, "width": 64}, crop_size={"height": 64, "width": 64},
        do_center_crop=False, resample=3,
    )  # fmt: skip
    picture.image_seq_length = 5
    Florence2Processor(picture, tokenizer).save_pretrained(folder)
    text = {
        "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 16, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 1024,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
    }  # fmt: skip
    vision = {
        "embed_dim": [8, 8, 8, 8], "num_heads": [1, 1, 1, 1], "num_groups": [1, 1, 1, 1],
        "depths": [1, 1, 1, 1], "window_size": 12, "projection_dim": 16, "drop_path_rate": 0.0,
        "max_position_embeddings": 50, "max_temporal_embeddings": 100,
    }  # fmt: skip
    config = Florence2Config(
        text_config=text, vision_config=vision, image_token_id=tokenizer.image_token_id,
        bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return _spread(Florence2ForConditionalGeneration(config), folder)


def save_siglip(folder: Path) -> Any:
    """SiglipModel of 32 px and one layer, with its processor and a tokenizer of a few words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SiglipConfig,
        SiglipImageProcessor,
        SiglipModel,
        SiglipProcessor,
    )

    torch.manual_seed(0)
    vocabulary = {word: number for number, word in enumerate(("<pad>", "<eos>", "<unk>", *WORDS))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    picture = SiglipImageProcessor(size={"height": 32, "width": 32})
    SiglipProcessor(picture, tokenizer).save_pretrained(folder)
    common = {
        "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    text = {
        **common, "vocab_size": len(vocabulary), "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "projection_size": 24,
    }  # fmt: skip
    vision = {**common, "image_size": 32, "patch_size": 8}
    return _spread(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder)


def _spread(network: Any, folder: Path) -> Any:
    """Random weights far enough apart that pictures have different answers; saved."""
    import torch

    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=SPREAD)
    network.eval().save_pretrained(folder)
    return network
