"""Enlarge with the shipped networks."""

from __future__ import annotations

from pathlib import Path

from models.base import Image, Upscaler, WeightsError
from models.serving.packs import EMBEDDED, Weights, embedded_weights
from models.serving.runtime import Runtime
from models.superres.damage import Damage
from models.superres.pick_by_damage import PickedUpscaler
from models.superres.tiles import Tiles, to_image, to_input, up_to

DAMAGED = "superres-x4-damaged"
WINDOW = 256  # the largest side that goes through the network at once, in pixels


class TiledUpscaler(Tiles):
    """Without seams: each tile overlaps by the reach of the network."""

    def __init__(self, weights: Weights, runtime: Runtime, window: int = WINDOW) -> None:
        fold = int(weights.facts["fold"])
        overlap = up_to(int(weights.facts["reach"]), fold)
        core = window - 2 * overlap
        if core < fold:
            raise ValueError(f"a window of {window} px leaves no room inside the overlap")
        super().__init__(int(weights.facts["scale"]), core, overlap, fold)
        self.version = weights.version
        self._path = weights.path
        self._runtime = runtime

    def _enlarge(self, window: Image) -> Image:
        (y,) = self._runtime.run(self._path, {"image": to_input(window)})
        return to_image(y)


def embedded(scale: int, runtime: Runtime, folder: Path = EMBEDDED) -> Upscaler:
    """The shipped upscaler: for ×4 one of two networks, picked by the damage of the image.

    Raises WeightsError for a scale without a network.
    """
    if scale not in (2, 4):
        raise WeightsError(f"no network enlarges ×{scale}; there are ×2 and ×4")
    clean = TiledUpscaler(embedded_weights(f"superres-x{scale}", folder), runtime)
    if scale == 2:
        return clean
    weights = embedded_weights(DAMAGED, folder)
    limit = Damage(float(weights.facts["noise"]), float(weights.facts["blocks"]))
    return PickedUpscaler(clean, TiledUpscaler(weights, runtime), limit)
