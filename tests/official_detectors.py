"""Tiny random detectors in the hub's own layout, made by the real library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("a", "photo", "of", "hat", "shoe", "dog", "red", "cat", ".")
SIDE = 64  # px that they see


def save_owlv2(folder: Path) -> None:
    import torch
    from transformers import (
        CLIPTokenizer,
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    torch.manual_seed(0)
    words = [f"{word}</w>" for word in WORDS]
    vocabulary = ["!", *words, "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted({letter for word in WORDS for letter in word})
    vocabulary += [part for letter in letters for part in (letter, f"{letter}</w>")]
    merges = _merges(WORDS, vocabulary)
    (folder / "vocab.json").write_text(
        json.dumps({word: n for n, word in enumerate(dict.fromkeys(vocabulary))})
    )
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16,
        "pad_token_id": 0, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": SIDE, "patch_size": 16,
    }  # fmt: skip
    config = Owlv2Config(text_config=text, vision_config=vision, projection_dim=32)
    _spread(Owlv2ForObjectDetection(config)).save_pretrained(folder)
    images = Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE})
    Owlv2Processor(images, tokenizer).save_pretrained(folder)


def save_grounding_dino(folder: Path) -> None:
    import torch
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    text = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64,
    )  # fmt: skip
    sees = SwinConfig(
        image_size=SIDE, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=2,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=sees, text_config=text, num_queries=12, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, d_model=32, encoder_attention_heads=2,
        decoder_attention_heads=2, max_text_len=32,
    )  # fmt: skip
    _spread(GroundingDinoForObjectDetection(config)).save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": SIDE, "longest_edge": 96})
    GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)


def save_rt_detr(folder: Path) -> None:
    import torch
    from transformers import (
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
    )

    torch.manual_seed(0)
    names = ("person", "dog", "cat", "backpack")
    sees = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=sees, encoder_in_channels=[16, 16, 16], d_model=32,
        encoder_hidden_dim=32, encoder_ffn_dim=64, encoder_attention_heads=2,
        decoder_attention_heads=2, decoder_ffn_dim=64, decoder_layers=1, num_queries=12,
        decoder_in_channels=[32, 32, 32], num_denoising=0,
        id2label=dict(enumerate(names)), label2id={name: n for n, name in enumerate(names)},
    )  # fmt: skip
    _spread(RTDetrForObjectDetection(config)).save_pretrained(folder)
    RTDetrImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def _spread(network: Any) -> Any:
    """Answers that depend on what is asked; the first ones are all alike."""
    import torch

    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim > 1 and "embed_positions" not in name:
                value.add_(torch.randn_like(value) * 0.1)
    return network.eval()


def _merges(words: tuple[str, ...], vocabulary: list[str]) -> list[str]:
    """So that each word becomes one token."""
    merges = []
    for word in words:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append(f"{parts[0]} {parts[1]}")
            parts = [parts[0] + parts[1], *parts[2:]]
            vocabulary.append(parts[0])
    return list(dict.fromkeys(merges))


SAVE = {"owlv2": save_owlv2, "grounding-dino": save_grounding_dino, "rt-detr": save_rt_detr}
