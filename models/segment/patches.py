"""What our network sees in each patch of a picture: its tokens, and its mask of the main object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Probability
from models.serving.packs import Weights
from models.serving.runtime import Runtime, open_session

TOKENS = "/network/vit/norm/LayerNormalization_output_0"  # (1, 1 + N, D), as we export it


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """One look at a picture, squeezed into a square of G × G patches."""

    features: NDArray[np.float32]  # (G, G, D), L2-normalised, without what all have in common
    own: Probability  # (S, S): the main object, as the network finds it without being asked


class PatchReader:
    """(H, W, 3) uint8 of any size → Patches, in one run of the network. Raises WeightsError."""

    def __init__(self, weights: Weights, runtime: Runtime) -> None:
        self.version = weights.version
        self._path, self._runtime = weights.path, runtime
        self._side = int(weights.facts["side"])

    def __call__(self, image: Image) -> Patches:
        square = Pil.fromarray(image).resize((self._side, self._side), Pil.Resampling.BILINEAR)
        x = np.asarray(square, np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        feeds = {"image": np.ascontiguousarray(x)}
        own, tokens = self._runtime.call(
            (self._path, TOKENS),
            lambda: open_session(self._path, self._runtime.threads, also=TOKENS),
            lambda session: session.run(["probability", TOKENS], feeds),
        )
        return Patches(features_of(tokens[0, 1:]), own[0, 0])


def features_of(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    """(G·G, D) → (G, G, D) unit vectors; their mean goes first, which all patches share."""
    side = round(len(tokens) ** 0.5)
    centred = tokens - tokens.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    found: NDArray[np.float32] = (centred / np.maximum(norms, 1e-6)).astype(np.float32)
    return found.reshape(side, side, -1)
