"""SigLIP 2: images and texts in one space (Tschannen et al., "SigLIP 2: Multilingual
vision-language encoders with improved semantic understanding, localization, and dense features",
2025). Runs only in the process of `models.serving.network_process`.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image as Pil
from transformers import AutoModel

from models.official.caption import Arrays, loaded
from models.official.pickled import DEVICE
from models.serving.network_child import Answerer

LENGTH = 64  # tokens; it was trained with texts of this length, padded


def network(folder: str, threads: int) -> Answerer:
    """An image, or a text, → its vector of length 1."""
    processor, model = loaded(AutoModel, folder, threads)

    def answer(facts: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        with torch.inference_mode():
            if "text" in facts:
                inputs = processor(
                    text=[facts["text"].lower()],
                    padding="max_length",
                    truncation=True,
                    max_length=LENGTH,
                    return_tensors="pt",
                )
                placed = model.get_text_features(**inputs.to(DEVICE))
            else:
                inputs = processor(images=Pil.fromarray(arrays[0]), return_tensors="pt")
                placed = model.get_image_features(**inputs.to(DEVICE))
            vector = getattr(placed, "pooler_output", placed)[0].float()
            return {}, ((vector / vector.norm().clamp_min(1e-12)).cpu().numpy(),)

    return answer
