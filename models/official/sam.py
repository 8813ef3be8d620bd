"""segment-anything: masks by points and boxes (Kirillov et al., "Segment anything", ICCV 2023)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from segment_anything import SamPredictor
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import Tensor, nn

from models.base import Image, Probability, Prompt, PromptedMask, WeightsError
from models.images.guided import stretch
from models.official.pickled import DEVICE, read
from models.serving.packs import Weights
from models.serving.runtime import Runtime
from models.serving.shelf import official_weights

HEADS = 8  # of the mask decoder, in every published SAM; the shapes do not show it
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # of RGB in 0..255

State = dict[str, Tensor]


class SamPrompter:
    """(H, W, 3) uint8 and a prompt → three answers at the same size, the best one first."""

    def __init__(self, weights: Weights, runtime: Runtime) -> None:
        self.version = weights.version
        self._path, self._runtime = weights.path, runtime
        self._key = (weights.path, weights.sha256)

    def __call__(self, image: Image, prompt: Prompt) -> list[PromptedMask]:
        """Raises WeightsError, and ValueError for a prompt that is empty or outside."""
        height, width = image.shape[:2]
        prompt.check(width, height)
        answers: list[PromptedMask] = self._runtime.call(
            self._key, self._load, lambda predictor: ask(predictor, image, prompt)
        )
        return answers

    def _load(self) -> SamPredictor:
        torch.set_num_threads(self._runtime.threads)
        return SamPredictor(load(self._path).to(DEVICE))


def ask(predictor: SamPredictor, image: Image, prompt: Prompt) -> list[PromptedMask]:
    """The network takes a square of fixed size, so larger images are reduced first."""
    height, width = image.shape[:2]
    factor = min(1.0, predictor.model.image_encoder.img_size / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.array(Pil.fromarray(image).resize(size, Pil.Resampling.BILINEAR))
    by = np.array([size[0] / width, size[1] / height])
    points = np.array((*prompt.points, *prompt.away), float).reshape(-1, 2) * by
    labels = np.array([1] * len(prompt.points) + [0] * len(prompt.away), int)
    box = None if prompt.box is None else np.array(prompt.box, float) * np.tile(by, 2)
    _look(predictor, small)
    logits, quality, _ = predictor.predict(
        points if len(points) else None,
        labels if len(points) else None,
        box,
        return_logits=True,
    )
    return [
        PromptedMask(stretch(sigmoid(logits[i]), (width, height)), float(quality[i]))
        for i in np.argsort(-quality)
    ]


def _look(predictor: SamPredictor, image: Image) -> None:
    """Show the network a picture, unless it has just seen it: that takes nearly all of the time."""
    seen = hashlib.sha256(image.tobytes() + repr(image.shape).encode()).digest()
    if getattr(predictor, "seen", None) != seen:
        predictor.set_image(image)
        predictor.seen = seen


def sigmoid(logits: NDArray[np.float32]) -> Probability:
    probability: Probability = 1 / (1 + np.exp(-logits.clip(-50, 50)))
    return probability


def load(path: Path) -> Sam:
    """The network in the official layout, with sizes from the shapes. Raises WeightsError."""
    state = read(path)
    try:
        sam = build(state)
        sam.load_state_dict(state)
    except (KeyError, RuntimeError, AttributeError, IndexError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"{path} is not a segment-anything network: {reason}") from error
    return sam.eval()


def build(state: State) -> Sam:
    """An untrained network of the sizes that the weights in `state` have."""
    width, patch = state["image_encoder.patch_embed.proj.weight"].shape[::3]
    grid = state["image_encoder.pos_embed"].shape[1]
    reach = [
        (len(value) + 1) // 2 for value in _of(state, "image_encoder.blocks", "attn.rel_pos_h")
    ]
    channels = state["image_encoder.neck.0.weight"].shape[0]
    encoder = ImageEncoderViT(
        img_size=grid * patch,
        patch_size=patch,
        embed_dim=width,
        depth=len(reach),
        num_heads=width // state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1],
        mlp_ratio=len(state["image_encoder.blocks.0.mlp.lin1.bias"]) / width,
        out_chans=channels,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=min(reach),
        global_attn_indexes=[block for block, length in enumerate(reach) if length == grid],
    )
    return Sam(
        encoder, _prompts(state, channels, grid, patch), _decoder(state, channels), MEAN, STD
    )


def _prompts(state: State, channels: int, grid: int, patch: int) -> PromptEncoder:
    return PromptEncoder(
        embed_dim=channels,
        image_embedding_size=(grid, grid),
        input_image_size=(grid * patch, grid * patch),
        mask_in_chans=len(state["prompt_encoder.mask_downscaling.3.bias"]),
    )


def _decoder(state: State, channels: int) -> MaskDecoder:
    where = "mask_decoder"
    layers = _of(state, f"{where}.transformer.layers", "norm1.weight")
    return MaskDecoder(
        transformer_dim=channels,
        transformer=TwoWayTransformer(
            depth=len(layers),
            embedding_dim=channels,
            num_heads=HEADS,
            mlp_dim=len(state[f"{where}.transformer.layers.0.mlp.lin1.bias"]),
        ),
        num_multimask_outputs=len(state[f"{where}.mask_tokens.weight"]) - 1,
        iou_head_depth=len(_of(state, f"{where}.iou_prediction_head.layers", "weight")),
        iou_head_hidden_dim=len(state[f"{where}.iou_prediction_head.layers.0.bias"]),
    )


def _of(state: State, where: str, what: str) -> list[Tensor]:
    """All weights named `WHERE.0.WHAT`, `WHERE.1.WHAT` and so on."""
    found: list[Tensor] = []
    while (name := f"{where}.{len(found)}.{what}") in state:
        found.append(state[name])
    return found


def prompter(runtime: Runtime, home: Path | None) -> SamPrompter:
    """Raises WeightsError."""
    return SamPrompter(official_weights("sam-vit-b", home), runtime)


def answerer(path: str, threads: int) -> Any:
    """For `models.serving.network_process`: `boxes` in px and an image → a mask of 0 to 255 for
    each box, at the image's size, by the network's best answer."""
    torch.set_num_threads(threads)
    predictor = SamPredictor(load(Path(path)).to(DEVICE))

    def answer(facts: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> tuple[dict[str, Any], Any]:
        image = np.ascontiguousarray(arrays[0])
        prompts = [Prompt(box=tuple(box)) for box in facts["boxes"]]
        best = [ask(predictor, image, prompt)[0] for prompt in prompts]
        masks = [np.rint(one.probability * 255).astype(np.uint8) for one in best]
        return {"quality": [one.quality for one in best]}, masks

    return answer
