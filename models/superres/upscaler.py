"""Enlarging with the networks we ship."""

from __future__ import annotations

from pathlib import Path

from models.base import Image, Upscaler, WeightsError
from models.packs import EMBEDDED, Weights, embedded_weights
from models.runtime import Runtime
from models.superres.damage import blockiness
from models.superres.tiles import Tiles, to_image, to_input, up_to

WINDOW = 256  # the largest side that goes through the network at once, in pixels

BLOCKY = 1.25  # blockiness from which a picture is repaired while it is enlarged


class TiledUpscaler(Tiles):
    """Seamless: each tile is cut out with as much around it as the network can see."""

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


class PickedUpscaler:
    """One network for pictures as they should be, another for those that compression damaged."""

    def __init__(self, clean: Upscaler, damaged: Upscaler) -> None:
        if clean.scale != damaged.scale:
            raise ValueError(f"×{clean.scale} and ×{damaged.scale} do not go together")
        self.scale = clean.scale
        self.version = f"{clean.version}+{damaged.version}"
        self._clean, self._damaged = clean, damaged

    def __call__(self, image: Image) -> Image:
        return (self._damaged if blockiness(image) >= BLOCKY else self._clean)(image)


def embedded(scale: int, runtime: Runtime, folder: Path = EMBEDDED) -> Upscaler:
    """The upscaler we ship. Raises WeightsError for a scale we have no network for."""
    if scale == 2:
        return TiledUpscaler(embedded_weights("superres-x2", folder), runtime)
    if scale == 4:
        names = ("superres-x4", "superres-x4-restore")
        clean, damaged = (TiledUpscaler(embedded_weights(name, folder), runtime) for name in names)
        return PickedUpscaler(clean, damaged)
    raise WeightsError(f"no network enlarges ×{scale}; there are ×2 and ×4")
