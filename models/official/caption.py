"""Sentences and tags by open networks that transformers loads: BLIP and Florence-2.

Li et al., "BLIP: Bootstrapping language-image pre-training", ICML 2022; Xiao et al., "Florence-2:
Advancing a unified representation for a variety of vision tasks", CVPR 2024. Runs only in the
process of `models.serving.network_process`, which calls `blip` or `florence`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from transformers import (
    AutoProcessor,
    BlipForConditionalGeneration,
    Florence2ForConditionalGeneration,
)

from models.base import WeightsError
from models.official.pickled import DEVICE
from models.serving.network_child import Answerer

TOKENS = 40  # of a sentence, at most
LISTED = 256  # tokens of a list of objects, at most: each takes its name and four places
CAPTION, OBJECTS = "<CAPTION>", "<OD>"  # Florence's own names of its tasks
_NAMED = re.compile(r"([^<>]*[^<>\s][^<>]*)(?:<loc_\d+>){4}")  # an object and its box

Arrays = Sequence[NDArray[Any]]


def loaded(kind: Any, folder: str, threads: int) -> tuple[Any, Any]:
    """(processor, network) out of a folder in the hub's layout; nothing is fetched and no code of
    the folder runs. Raises WeightsError."""
    torch.set_num_threads(threads)
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        network, told = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"{folder} is not a {kind.__name__}: {reason}") from error
    if missing := sorted(told["missing_keys"]):
        raise WeightsError(f"{folder}: {len(missing)} weights are missing, first {missing[0]}")
    return processor, network.to(DEVICE).eval()


def blip(folder: str, threads: int) -> Answerer:
    """One image → its sentence, and the mean probability of its tokens."""
    processor, network = loaded(BlipForConditionalGeneration, folder, threads)

    def answer(_facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        inputs = processor(images=Pil.fromarray(arrays[0]), return_tensors="pt").to(DEVICE)
        text, score = generated(processor, network, inputs, TOKENS)
        return {"sentence": text, "score": score, "tags": []}, ()

    return answer


def florence(folder: str, threads: int) -> Answerer:
    """One image → its sentence, and the names of the objects that are found in it."""
    processor, network = loaded(Florence2ForConditionalGeneration, folder, threads)

    def said(image: Any, task: str, most: int) -> tuple[str, float]:
        inputs = processor(images=image, text=task, return_tensors="pt").to(DEVICE)
        return generated(processor, network, inputs, most, keep_places=task == OBJECTS)

    def answer(_facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        image = Pil.fromarray(arrays[0])
        sentence, score = said(image, CAPTION, TOKENS)
        listed, _ = said(image, OBJECTS, LISTED)
        tags = list(dict.fromkeys(name.strip().lower() for name in _NAMED.findall(listed)))
        return {"sentence": sentence, "score": score, "tags": tags}, ()

    return answer


def generated(
    processor: Any, network: Any, inputs: Any, most: int, *, keep_places: bool = False
) -> tuple[str, float]:
    """The likeliest text, token by token, and the geometric mean of their probabilities.

    `keep_places`: leave the tokens that name places in the text.
    """
    with torch.inference_mode():
        made = network.generate(
            **inputs,
            max_new_tokens=most,
            num_beams=1,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    tokens = made.sequences[0, -len(made.logits) :]
    chosen = [
        torch.log_softmax(logits[0].float(), dim=-1)[token].item()
        for logits, token in zip(made.logits, tokens, strict=True)
    ]
    text = processor.decode(made.sequences[0], skip_special_tokens=not keep_places)
    score = float(np.exp(np.mean(chosen))) if chosen else 0.0
    return (text if keep_places else " ".join(text.split())), score
