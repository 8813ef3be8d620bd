"""The main object by published networks of salient objects, in rembg's ONNX layout: without torch.

U²-Net (Qin et al., "U²-Net: going deeper with nested U-structure for salient object detection",
Pattern Recognition 2020), IS-Net (Qin et al., "Highly accurate dichotomous image segmentation",
ECCV 2022) and BiRefNet (Zheng et al., "Bilateral reference for high-resolution dichotomous image
segmentation", 2024). Masks that people drew taught all of them. They give no embedding: that of the
network we ship is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Mask, Probability, Segmentation, Segmenter, WeightsError
from models.segment.guided import refine
from models.segment.segmenter import embedded
from models.segment.tidy import REVISION, tidy
from models.serving.catalogue import CATALOGUE
from models.serving.packs import Weights
from models.serving.runtime import Runtime
from models.serving.shelf import Shelf, official_weights

THRESHOLD = 0.5  # of the stretched output
LEAST_CONFIDENCE = 0.5  # of the output as it is, within the mask
LEAST_AREA = 0.01  # of the picture

Triple = tuple[float, float, float]
MEAN: Triple = (0.485, 0.456, 0.406)
DEVIATION: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Sees:
    """How a network wants its picture: squeezed to side × side, RGB in [0, 1] less `mean`, by
    `deviation`. `logits`: what it says is yet to be made a probability.
    """

    side: int
    mean: Triple = MEAN
    deviation: Triple = DEVIATION
    logits: bool = False


SEES = {  # the quickest first
    "u2netp": Sees(320),
    "u2net": Sees(320),
    "isnet-general-use": Sees(1024, deviation=(1.0, 1.0, 1.0)),
    "birefnet-general-lite": Sees(1024, logits=True),
}


class Silent:
    """Takes the place of an embedder where no embedding is wanted."""

    version = "none"

    def __call__(self, image: Image) -> Segmentation:
        nothing = np.zeros(image.shape[:2], np.float32)
        return Segmentation(nothing, nothing > 0, 0.0, np.zeros(0, np.float32))


class SaliencySegmenter:
    """(H, W, 3) uint8 of any size and aspect → Segmentation at the same size.

    The network's first output is stretched to 0..1, as its makers do. Of a picture without an
    object that makes something out of nothing, so `confidence` is what the network said before.
    """

    def __init__(self, weights: Weights, sees: Sees, runtime: Runtime, embedder: Segmenter) -> None:
        self.version = f"{weights.version}.{REVISION}.{embedder.version}"
        self._path, self._sees = weights.path, sees
        self._runtime, self._embedder = runtime, embedder

    def __call__(self, image: Image) -> Segmentation:
        if image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        said = self._say(image)
        small = (said - said.min()) / max(float(np.ptp(said)), 1e-6)
        inside: NDArray[np.bool_] = small > THRESHOLD
        confidence = float(said[inside].mean()) if inside.any() else 0.0
        probability = refine(small, image)
        clear = confidence >= LEAST_CONFIDENCE and float(inside.mean()) >= LEAST_AREA
        mask: Mask = tidy((probability > THRESHOLD) & clear)
        return Segmentation(probability, mask, confidence, self._embedder(image).embedding)

    def _say(self, image: Image) -> Probability:
        """(side, side)"""
        sees = self._sees
        square = Pil.fromarray(image).resize((sees.side, sees.side), Pil.Resampling.BILINEAR)
        mean, deviation = (np.array(part, np.float32) for part in (sees.mean, sees.deviation))
        x = (np.asarray(square, np.float32) / np.float32(255) - mean) / deviation
        feed = np.ascontiguousarray(x.transpose(2, 0, 1)[None])
        said: Probability = self._runtime.run_first(self._path, feed)[0, 0]
        return (1 / (1 + np.exp(-said))).astype(np.float32) if sees.logits else said


def segmenter(name: str, runtime: Runtime, home: Path | None) -> SaliencySegmenter:
    """A pack of `SEES`. Raises WeightsError."""
    return SaliencySegmenter(official_weights(name, home), SEES[name], runtime, embedded(runtime))


def masks_only(name: str, runtime: Runtime, home: Path | None) -> SaliencySegmenter:
    """A pack of `SEES` whose embeddings are empty. Raises WeightsError."""
    if name not in SEES:
        raise WeightsError(f"{name!r} is no pack of salient objects: {', '.join(SEES)}")
    return SaliencySegmenter(official_weights(name, home), SEES[name], runtime, Silent())


def installed(home: Path) -> list[str]:
    """The packs of `SEES` that were pulled, the quickest first. Raises WeightsError."""
    return [name for name in SEES if Shelf(home, CATALOGUE[name]).records()]
