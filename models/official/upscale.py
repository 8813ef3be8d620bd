"""Official networks that enlarge: spandrel loads them, this module tiles.

spandrel recognises the architecture by the names and shapes of the weights: Real-ESRGAN's compact
and RRDB networks (Wang et al., "Real-ESRGAN", ICCVW 2021), SwinIR (Liang et al., ICCVW 2021) and
others. It has no tiling.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from spandrel import (
    ImageModelDescriptor,
    ModelLoader,
    UnsupportedModelError,
    canonicalize_state_dict,
)

from models.base import Image, Upscaler, WeightsError
from models.official.pickled import DEVICE, read
from models.serving.packs import Weights
from models.serving.runtime import Runtime
from models.serving.shelf import official_weights
from models.superres.tiles import Tiles, to_image, to_input, up_to

_Result = TypeVar("_Result")


class Loaded(NamedTuple):
    """A network that spandrel loaded, with the facts that tiling needs."""

    descriptor: ImageModelDescriptor
    scale: int
    fold: int  # sides are multiples of it: the window of a transformer
    least: int  # the smallest side

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, 3, H, W) → (1, 3, H·scale, W·scale), both in [0, 1]."""
        y = self.descriptor(torch.from_numpy(x).to(DEVICE))
        out: NDArray[np.float32] = y.float().cpu().numpy()
        return out


def load(path: Path, threads: int) -> Loaded:
    """Raises WeightsError for a pickle with more than weights, or without an RGB upscaler."""
    state = canonicalize_state_dict(read(path))
    try:
        with warnings.catch_warnings():  # SwinIR of spandrel calls meshgrid in the old way
            warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
            found = ModelLoader(DEVICE).load_from_state_dict(state)
    except (UnsupportedModelError, RuntimeError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path}: not a network that spandrel knows: {reason}") from error
    if not isinstance(found, ImageModelDescriptor) or found.scale < 2:
        raise WeightsError(f"{path}: {found.architecture.name} does not enlarge")
    if (found.input_channels, found.output_channels) != (3, 3):
        raise WeightsError(f"{path}: a network for RGB is needed")
    torch.set_num_threads(threads)
    found.eval()
    size = found.size_requirements
    fold = math.lcm(max(1, size.multiple_of), int(getattr(found.model, "window_size", 1)))
    return Loaded(found, found.scale, fold, up_to(size.minimum, fold))


class OfficialUpscaler(Tiles):
    """`tile`: the side of the part of a tile that is kept; `pad`: the border around it, in pixels.
    They are `tile` and `tile_pad` of RealESRGANer, with the same tiles.

    No seams if `pad` is at least the reach of the network: 34 px for `realesr-general-x4v3`. RRDB
    and SwinIR reach hundreds of pixels, of which the far ones hardly count.
    """

    def __init__(self, weights: Weights, runtime: Runtime, tile: int, pad: int) -> None:
        self.version = f"{weights.version}.{tile}.{pad}"
        self._path, self._runtime = weights.path, runtime
        self._key = (weights.path, weights.sha256)
        scale, fold, least = self._call(lambda network: network[1:4])
        super().__init__(scale, up_to(tile, fold), up_to(pad, fold), fold, least)

    def _call(self, use: Callable[[Loaded], _Result]) -> _Result:
        return self._runtime.call(self._key, lambda: load(self._path, self._runtime.threads), use)

    def _spans(self, length: int) -> Iterator[tuple[slice, slice]]:
        """Parts of one size, the last one smaller, each with the window around it."""
        for start in range(0, length, self._core):
            stop = min(length, start + self._core)
            around = slice(max(0, start - self._overlap), min(length, stop + self._overlap))
            yield slice(start, stop), self._enough(around, length)

    def _enough(self, around: slice, length: int) -> slice:
        """A window that is too small for the network reaches back into the picture."""
        return slice(max(0, min(around.start, around.stop - self._least)), around.stop)

    def _enlarge(self, window: Image) -> Image:
        return to_image(self._call(lambda network: network(to_input(window))))


class Reduced:
    """A smaller scale with a network of a larger scale, as `outscale` of RealESRGANer: Lanczos."""

    def __init__(self, upscaler: Upscaler, scale: int) -> None:
        self.scale = scale
        self.version = f"{upscaler.version}.x{scale}"
        self._upscaler = upscaler

    def __call__(self, image: Image) -> Image:
        height, width = image.shape[:2]
        large = Pil.fromarray(self._upscaler(image))
        size = (width * self.scale, height * self.scale)
        return np.array(large.resize(size, Pil.Resampling.LANCZOS))


def upscaler(
    pack: str, scale: int, runtime: Runtime, home: Path | None, tile: int, pad: int
) -> Upscaler:
    """Of scale 2 or 4. Raises WeightsError."""
    found = OfficialUpscaler(official_weights(pack, home), runtime, tile, pad)
    if scale > found.scale:
        raise WeightsError(f"{pack} enlarges ×{found.scale}, not ×{scale}")
    return found if found.scale == scale else Reduced(found, scale)
