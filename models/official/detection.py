"""Detectors of the hub, loaded by transformers from a folder; run in a process of their own.

Open vocabulary: OWLv2 (Minderer et al., "Scaling open-vocabulary object detection", NeurIPS 2023)
and Grounding DINO (Liu et al., "Grounding DINO", ECCV 2024). Fixed classes: RT-DETR (Zhao et al.,
"DETRs beat YOLOs on real-time object detection", CVPR 2024). See `models.detect.network` for the
other side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from models.base import WeightsError

Arrays = Sequence[NDArray[Any]]
# (scores (n,), corners (n, 4), classes (n,)) of an image and the names of classes
Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Look = Callable[[NDArray[np.uint8], list[str], float], Found]
SEPARATOR = "."  # of Grounding DINO's classes in its one text


def answerer(kind: str, folder: str, threads: int) -> Any:
    """`kind`: owlv2, grounding-dino or rt-detr. A question: `classes` and `threshold`, and an RGB
    image; the answer: scores, corners in px, classes. `known`, for no image: the fixed classes."""
    torch.set_num_threads(threads)
    try:
        look, known = _KINDS[kind](folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"{folder} has no network of the kind {kind}: {reason}") from error

    def answer(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        if not arrays:
            return {"known": known}, ()
        with torch.inference_mode():
            found = look(np.array(arrays[0]), facts["classes"], facts["threshold"])
        scores, corners, classes = (part.cpu().numpy() for part in found)
        return {}, (
            scores.astype(np.float64),
            corners.astype(np.float64).reshape(-1, 4),
            classes.astype(np.int64),
        )

    return answer


def _owlv2(folder: str) -> tuple[Look, list[str]]:
    network, processor = _loaded(
        transformers.Owlv2ForObjectDetection, transformers.Owlv2Processor, folder
    )

    def look(image: NDArray[np.uint8], classes: list[str], threshold: float) -> Found:
        texts = [[f"a photo of a {name}" for name in classes]]  # as it was trained
        inputs = processor(
            text=texts,
            images=image,
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        )
        found = processor.post_process_grounded_object_detection(
            network(**inputs), threshold=threshold, target_sizes=[image.shape[:2]]
        )[0]
        return found["scores"], found["boxes"], found["labels"]

    return look, []


def _grounding_dino(folder: str) -> tuple[Look, list[str]]:
    network, processor = _loaded(
        transformers.GroundingDinoForObjectDetection, transformers.GroundingDinoProcessor, folder
    )

    def look(image: NDArray[np.uint8], classes: list[str], threshold: float) -> Found:
        text = "".join(f"{name.lower()}{SEPARATOR} " for name in classes).strip()
        inputs = processor(images=image, text=text, return_tensors="pt")
        owners = _owners(processor.tokenizer, inputs["input_ids"][0].tolist())
        outputs = network(**inputs)
        said = torch.sigmoid(outputs.logits[0])[:, : len(owners)]
        scores = torch.stack(
            [
                said[:, [k for k, owner in enumerate(owners) if owner == number]].amax(1)
                if number in owners
                else said.new_zeros(len(said))
                for number in range(len(classes))
            ],
            dim=1,
        )
        best, number = scores.max(dim=1)
        kept = best > threshold
        height, width = image.shape[:2]
        x, y, wide, high = outputs.pred_boxes[0][kept].unbind(1)
        corners = torch.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], dim=1)
        scale = torch.tensor([width, height, width, height])
        return best[kept], corners * scale, number[kept]

    return look, []


def _owners(tokenizer: Any, tokens: list[int]) -> list[int]:
    """Of each token the number of its class; -1 for marks."""
    separator = tokenizer.convert_tokens_to_ids(SEPARATOR)
    marks, number, owners = set(tokenizer.all_special_ids), 0, []
    for token in tokens:
        owners.append(-1 if token in marks or token == separator else number)
        number += token == separator
    return owners


def _rt_detr(folder: str) -> tuple[Look, list[str]]:
    network, processor = _loaded(
        transformers.RTDetrForObjectDetection, transformers.AutoImageProcessor, folder
    )
    known = [str(network.config.id2label[number]) for number in range(network.config.num_labels)]

    def look(image: NDArray[np.uint8], classes: list[str], threshold: float) -> Found:
        wanted = [known.index(name) for name in classes]
        inputs = processor(images=image, return_tensors="pt")
        found = processor.post_process_object_detection(
            network(**inputs), threshold=threshold, target_sizes=[image.shape[:2]]
        )[0]
        place = torch.full((len(known),), -1)
        place[wanted] = torch.arange(len(wanted))
        numbers = place[found["labels"]]
        kept = numbers >= 0
        return found["scores"][kept], found["boxes"][kept], numbers[kept]

    return look, known


def _loaded(network: Any, processor: Any, folder: str) -> tuple[Any, Any]:
    return (
        network.from_pretrained(folder, local_files_only=True).eval(),
        processor.from_pretrained(folder, local_files_only=True),
    )


_KINDS: dict[str, Callable[[str], tuple[Look, list[str]]]] = {
    "owlv2": _owlv2,
    "grounding-dino": _grounding_dino,
    "rt-detr": _rt_detr,
}
