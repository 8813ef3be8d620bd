"""Masks by points and boxes: segment-anything where its pack is there, else our own network."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import numpy as np
import PIL.Image

from bot.config import Settings
from bot.config.settings import Models
from bot.core.errors import ModelError, UsageError
from bot.service.app import App, ServingStages
from bot.verbs.masks import masks_of
from models.base import Image, ImageRejected, Mask, Prompt, Prompter, WeightsError
from models.images.codec import png_mask
from models.images.decoder import decode
from models.segment.patches import Patches, PatchReader
from models.segment.similar import similar
from models.segment.tidy import tidy

SIDE = 1024  # px: the picture that a suggestion is made for
KEPT = 24  # images whose patches stay in memory, half a megabyte each
SHOWN = 4  # images whose pixels stay, three megabytes each

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class MaskSuggestion:
    png: bytes  # 8-bit grey, 0 or 255, in the image's proportions
    by: str  # version of the network


@dataclass(frozen=True, slots=True)
class _Networks:
    """What answers, of one choice of networks."""

    chosen: Models
    stages: ServingStages
    prompter: Prompter | None
    reader: PatchReader


class Suggester:
    """Reads an image once and answers many prompts. May be used by several threads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = Lock()
        self._networks: _Networks | None = None
        self._patches: OrderedDict[tuple[str, str], Patches] = OrderedDict()
        self._pixels: OrderedDict[str, Image] = OrderedDict()

    def suggest(self, settings: Settings, media: int, prompt: Prompt) -> MaskSuggestion:
        """The object that is shown, in pixels of the stored image; without points and box, what the
        network in service finds. Raises UsageError, StorageError, ModelError."""
        known = masks_of(self._app, media)
        try:
            if prompt != Prompt():
                prompt.check(known.width, known.height)
            with self._lock:
                networks = self._ready(settings)
                image = self._seen(known.sha256)
                height, width = image.shape[:2]
                scaled = _scaled(prompt, width / known.width, height / known.height)
                mask, by = self._found(networks, known.sha256, image, scaled)
        except ValueError as error:
            raise UsageError(str(error)) from error
        except WeightsError as error:
            raise ModelError(str(error)) from error
        return MaskSuggestion(png_mask(mask), by)

    def _found(
        self, networks: _Networks, sha256: str, image: Image, prompt: Prompt
    ) -> tuple[Mask, str]:
        if prompt == Prompt():
            segmenter = networks.stages.segmenter()
            return segmenter(image).mask, segmenter.version
        if networks.prompter is not None:
            answer = networks.prompter(image, prompt)[0]
            return tidy(answer.probability > 0.5), networks.prompter.version
        reader = networks.reader
        patches = self._patches.get((reader.version, sha256))
        if patches is None:
            patches = reader(image)
            _keep(self._patches, (reader.version, sha256), patches, KEPT)
        return similar(patches, image, prompt), reader.version

    def _ready(self, settings: Settings) -> _Networks:
        if self._networks is None or self._networks.chosen != settings.models:
            stages = ServingStages(settings)
            prompter, reader = stages.prompter_here(), stages.patches()
            self._networks = _Networks(settings.models, stages, prompter, reader)
        return self._networks

    def _seen(self, sha256: str) -> Image:
        """The image, reduced to SIDE."""
        if (known := self._pixels.get(sha256)) is None:
            data, limit = self._app.originals.get(sha256), self._app.settings.limits.max_pixels
            try:
                found = decode(data, max_pixels=limit, min_side=1)
            except ImageRejected as error:
                raise UsageError(f"the image cannot be read: {error.reason}") from error
            known = _reduced(found.pixels)
            _keep(self._pixels, sha256, known, SHOWN)
        return known


def _reduced(image: Image) -> Image:
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BOX))


def _scaled(prompt: Prompt, across: float, down: float) -> Prompt:
    box = prompt.box
    return Prompt(
        tuple((x * across, y * down) for x, y in prompt.points),
        box and (box[0] * across, box[1] * down, box[2] * across, box[3] * down),
        tuple((x * across, y * down) for x, y in prompt.away),
    )


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
