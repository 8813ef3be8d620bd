"""Official networks that put images and texts into one space, each in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.base import Embedding, Image
from models.serving.network_process import NetworkProcess, ProcessBounds
from models.serving.shelf import official_weights

ENTRIES = {"siglip2-base": "models.official.siglip:network"}


@dataclass(frozen=True, slots=True)
class Placed:
    """What an image is in that space; as the embedding of a `Segmentation` is."""

    embedding: Embedding


class TextAndImages:
    """(H, W, 3) uint8 → Placed; a text → its vector. May be used by any thread; ends with `stop`.

    The network never runs in this process.
    """

    def __init__(self, pack: str, home: Path | None, bounds: ProcessBounds) -> None:
        """Raises WeightsError if the pack is not here, or damaged."""
        weights = official_weights(pack, home)
        self.name, self.version = pack, weights.version
        arguments = {"folder": str(weights.path.parent), "threads": bounds.threads}
        self._process = NetworkProcess(ENTRIES[pack], arguments, bounds)

    def __call__(self, image: Image, /) -> Placed:
        """Raises NetworkFailed."""
        _, [vector] = self._process.ask({}, (image,))
        return Placed(vector.astype(np.float32))

    def text(self, words: str) -> Embedding:
        """Raises NetworkFailed."""
        _, [vector] = self._process.ask({"text": words})
        return vector.astype(np.float32)

    def stop(self) -> None:
        """The next question starts another process."""
        self._process.end_idle(0)
