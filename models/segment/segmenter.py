"""The main object of a picture, by one pass of the shipped network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Mask, Probability, Segmentation, Segmenter, WeightsError
from models.segment.guided import refine
from models.segment.tidy import REVISION, tidy
from models.serving.packs import Weights, embedded_weights
from models.serving.runtime import Runtime


class OnnxSegmenter:
    """(H, W, 3) uint8 of any size and aspect → Segmentation at the same size.

    The picture is squeezed into the network's square and the probability stretched back. A mask
    that the network is not sure enough of, or that is next to nothing, is returned empty.
    """

    def __init__(self, weights: Weights, runtime: Runtime) -> None:
        self.version = f"{weights.version}.{REVISION}"
        self._path = weights.path
        self._runtime = runtime
        facts = weights.facts
        self._side = int(facts["side"])
        self._threshold = float(facts["threshold"])
        self._least_confidence = float(facts["least_confidence"])
        self._least_area = float(facts["least_area"])

    def __call__(self, image: Image) -> Segmentation:
        if image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an RGB image is (H, W, 3), not {image.shape}")
        square = Pil.fromarray(image).resize((self._side, self._side), Pil.Resampling.BILINEAR)
        x = np.asarray(square, np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        small, embedding = self._runtime.run(self._path, {"image": np.ascontiguousarray(x)})
        confidence, area = self._certainty(small[0, 0])
        probability = refine(small[0, 0], image)
        clear = confidence >= self._least_confidence and area >= self._least_area
        mask: Mask = tidy((probability > self._threshold) & clear)
        return Segmentation(probability, mask, confidence, embedding[0])

    def _certainty(self, small: Probability) -> tuple[float, float]:
        """Mean probability inside the mask, and the share of the picture the mask covers."""
        inside: NDArray[np.bool_] = small > self._threshold
        if not inside.any():
            return 0.0, 0.0
        return float(small[inside].mean()), float(inside.mean())


def embedded(runtime: Runtime, _home: Path | None = None) -> OnnxSegmenter:
    """The segmenter we ship. Raises WeightsError."""
    return OnnxSegmenter(embedded_weights("segment"), runtime)


def open_segmenter(weights: Weights, runtime: Runtime) -> Segmenter:
    """Raises WeightsError when the manifest lacks what serving must know."""
    try:
        return OnnxSegmenter(weights, runtime)
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{weights.version}: its manifest is incomplete: {error!r}") from error
