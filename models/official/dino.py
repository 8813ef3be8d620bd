"""The main object by official DINO features: TokenCut on the last layer's keys, refined.

Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021; the cut is
described in `models.dino.ncut`, the refinement in `models.segment.guided`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from torch import Tensor

from models.base import Image, Mask, Segmentation
from models.dino.hub import load_hub
from models.dino.ncut import affinity, bipartition, last_keys
from models.dino.vit import ViT
from models.official.pickled import DEVICE
from models.segment.guided import refine
from models.segment.tidy import REVISION, tidy
from models.serving.packs import Weights
from models.serving.runtime import Runtime
from models.serving.shelf import official_weights

LONG_SIDE = 448  # px that the network sees: 28 tokens, and 784 at most keep the cut below 0.1 s
LEAST_AREA, MOST_AREA = 0.01, 0.9  # share of the image; smaller or larger parts are not objects


class DinoSegmenter:
    """(H, W, 3) uint8 of any size and aspect → Segmentation at the same size.

    `confidence` is 1 minus the value of the cut (0: two parts without a link between them; 1 and
    more: no parts at all). It was not calibrated on official weights.
    """

    def __init__(self, weights: Weights, runtime: Runtime) -> None:
        self.version = f"{weights.version}.tokencut.{REVISION}"
        self._folder, self._runtime = weights.path.parent, runtime
        self._key = (self._folder, weights.sha256)
        runtime.call(self._key, self._load, lambda vit: None)  # reports a wrong file now

    def __call__(self, image: Image) -> Segmentation:
        if image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        keys, token, (rows, columns) = self._runtime.call(
            self._key, self._load, lambda vit: look(vit, image)
        )
        weights = affinity(keys)
        coarse = bipartition(weights, rows, columns)
        confidence = separation(weights, coarse.ravel())
        probability = refine(coarse.astype(np.float32), image)
        mask: Mask = tidy(probability > 0.5)
        if not (confidence > 0 and LEAST_AREA <= mask.mean() <= MOST_AREA):
            mask = np.zeros_like(mask)
        return Segmentation(probability, mask, confidence, token)

    def _load(self) -> ViT:
        torch.set_num_threads(self._runtime.threads)
        vit: ViT = load_hub(self._folder).eval().to(DEVICE)
        return vit


def look(
    vit: ViT, image: Image
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, int]]:
    """Keys (T, d), the class token (width,) of length 1, and the grid (rows, columns)."""
    patch = vit.shape.patch
    height, width = image.shape[:2]
    factor = LONG_SIDE / max(height, width)
    rows, columns = (max(1, round(side * factor / patch)) for side in (height, width))
    size = (columns * patch, rows * patch)
    small = Pil.fromarray(image).resize(size, Pil.Resampling.BILINEAR)
    x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(DEVICE) / 255
    seen: list[Tensor] = []
    hook = vit.norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        keys = last_keys(vit, x)[0].cpu().numpy()
    finally:
        hook.remove()
    token = seen[0][0, 0].float().cpu().numpy()
    return keys, token / max(float(np.linalg.norm(token)), 1e-12), (rows, columns)


def separation(weights: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """1 minus the normalised cut between the tokens `inside` and the others, in [0, 1]."""
    if not inside.any() or inside.all():
        return 0.0
    between = weights[inside][:, ~inside].sum()
    cut = between / weights[inside].sum() + between / weights[~inside].sum()
    return float(np.clip(1 - cut, 0, 1))


def segmenter(runtime: Runtime, home: Path | None) -> DinoSegmenter:
    """Raises WeightsError."""
    return DinoSegmenter(official_weights("dino-vits16", home), runtime)
