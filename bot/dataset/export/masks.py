"""Masks of main objects: frozen ones, or computed now."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import PIL.Image

from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.dataset.export.runs import RunLengths
from bot.service.app import App
from models.base import Image, Mask, Segmenter
from models.images.codec import png_mask
from models.images.decoder import decode
from models.images.mask_sizes import stretched
from storage.artifacts import Artifacts, Recipe
from storage.masks import MASK, PERSON


@dataclass(frozen=True)
class Drawn:
    """A mask in the size in which it was made, as PNG, and the network (or PERSON) that made it."""

    mask: Mask
    png: bytes
    version: str

    @cached_property
    def runs(self) -> RunLengths:
        return RunLengths.of(self.mask)

    def fitted(self, width: int, height: int) -> Drawn:
        """At another size."""
        if self.mask.shape == (height, width):
            return self
        mask = stretched(self.mask, width, height)
        return Drawn(mask, png_mask(mask), self.version)


class Masks:
    """The mask that was frozen with the snapshot; with a segmenter, the mask that it makes."""

    def __init__(self, app: App, segmenter: Segmenter | None) -> None:
        self._app = app
        self._segmenter = segmenter
        self.missing = 0  # frozen masks whose file is missing

    def of(self, source: str, frozen: dict[str, str] | None, image: bytes) -> Drawn | None:
        """`frozen`: the mask of the snapshot; `image`: the bytes of the original. What a
        person drew is never computed anew."""
        network = self._segmenter
        kept = (PERSON, network.version if network else "")
        if frozen is not None and (network is None or frozen["version"] in kept):
            try:
                return _read(self._app, frozen["sha256"], frozen["version"])
            except StorageError:
                self.missing += 1
        return self._computed(network, source, image) if network else None

    def _computed(self, network: Segmenter, source: str, image: bytes) -> Drawn:
        recipe = Recipe(MASK, network.version, source, {"of": "original"})
        kept = Artifacts(self._app.database, self._app.artifacts)
        if (known := kept.find(recipe)) is not None:
            return _read(self._app, known.sha256, network.version)
        found = network(_pixels(self._app, image))
        data = png_mask(found.mask)
        facts = {"version": network.version, "confidence": round(found.confidence, 4)}
        kept.keep(recipe, data, "image/png", facts, utc_now())
        return Drawn(found.mask, data, network.version)


def _pixels(app: App, image: bytes) -> Image:
    return decode(image, max_pixels=app.settings.limits.max_pixels).pixels


def _read(app: App, sha256: str, version: str) -> Drawn:
    """Read one of our own artifacts: 8-bit grey, as png_mask writes it."""
    data = app.artifacts.get(sha256)
    try:
        with PIL.Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            grey = image if image.mode == "L" else image.convert("L")  # a copy, of a million pixels
            return Drawn(np.asarray(grey) >= 128, data, version)
    except (OSError, ValueError) as error:
        raise StorageError(f"mask {sha256[:12]} cannot be read: {error}") from error
