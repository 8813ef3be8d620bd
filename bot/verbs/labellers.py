"""What finds objects of asked classes: small networks of ours, or official detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bot.config import Settings
from bot.core.errors import ModelError, NotInstalled, UsageError
from bot.schema.problems import did_you_mean
from bot.service.app import ServingStages, networks_of
from bot.verbs.class_evidence import ClassEvidence
from models.base import Image, Mask, Segmenter, WeightsError
from models.detect.boxes import Boxes, fuse
from models.detect.network import FIXED, KINDS, BoxMasks, OfficialDetector
from models.detect.views import answers
from models.detect.voting import Voted, box_of, vote
from models.metrics.masks import iou
from models.segment.saliency import installed, masks_only
from models.segment.teacher import both_ways
from models.serving.catalogue import CATALOGUE
from models.serving.network_process import NetworkFailed, ProcessBounds
from models.serving.shelf import Shelf
from storage.masks import PERSON

EMBEDDED = "embedded"
NAMES = (EMBEDDED, *KINDS)
PROMPTED = "sam-vit-b"
SAME_OBJECT = 0.5  # IoU of a box and of a person's mask that show one object
OTHER = "object"  # the class of what a person drew, where nothing says what it is


@dataclass(frozen=True, slots=True, eq=False)
class FoundObject:
    """An object: class, score in [0, 1], (left, top, right, bottom) in px, and perhaps a mask."""

    name: str
    score: float
    box: tuple[float, float, float, float]
    mask: Mask | None  # (H, W) of the image
    made_by: str


class Labeller(Protocol):
    eye: Segmenter | None  # whose embeddings find images that look alike

    @property
    def facts(self) -> dict[str, Any]:
        """What its answers depend on."""

    def __call__(self, image: Image, evidence: ClassEvidence) -> list[FoundObject]:
        """Raises NetworkFailed."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """`by`: `embedded`, or packs of detectors; several are brought together."""

    classes: tuple[str, ...]
    by: tuple[str, ...] = (EMBEDDED,)
    least: float = 0.3  # score of an object
    augment: bool = False
    again: bool = False  # try again what failed


class EmbeddedLabeller:
    """The main object of the picture, of the class that its post, or images like it, speak of.

    Sees one object in an image, and knows no class by its looks. With an official pack of salient
    objects beside ours, or `augment`, several answers vote on the mask.
    """

    def __init__(self, settings: Settings, options: LabelOptions) -> None:
        self._options = options
        self._main = ServingStages(settings).segmenter()
        self.eye: Segmenter | None = self._main
        self._others = _salient(settings)
        self.facts: dict[str, Any] = {
            "by": [EMBEDDED],
            "networks": [self._main.version, *(one.version for one in self._others)],
            "classes": list(options.classes),
            "least": options.least,
            "augment": options.augment,
        }

    def __call__(self, image: Image, evidence: ClassEvidence) -> list[FoundObject]:
        seen = self._main(image)
        name, score = evidence.best(seen.embedding)
        if score < self._options.least or not seen.mask.any():
            return []
        mask, sure = seen.mask, seen.confidence
        if self._others or self._options.augment:
            voted = main_object([self._main, *self._others], image, self._options.augment)
            mask, sure = voted.mask, voted.agreement
        box = box_of(mask)
        by = "+".join(self.facts["networks"])
        return [] if box is None else [FoundObject(name, score * sure, box, mask, by)]

    def close(self) -> None:
        """Nothing is left running."""


class OfficialLabeller:
    """Boxes by one or several detectors, their masks by segment-anything where it was pulled."""

    eye: Segmenter | None = None

    def __init__(self, settings: Settings, options: LabelOptions) -> None:
        home = networks_of(settings)
        bounds = ProcessBounds(threads=settings.models.threads)
        self._options = options
        try:
            self._detectors = [OfficialDetector(name, home, bounds) for name in options.by]
            pulled = bool(Shelf(home, CATALOGUE[PROMPTED]).records())
            self._masks = BoxMasks(PROMPTED, home, bounds) if pulled else None
        except WeightsError as error:
            raise ModelError(str(error)) from error
        self.facts: dict[str, Any] = {
            "by": list(options.by),
            "networks": [one.version for one in self._detectors]
            + ([self._masks.version] if self._masks else []),
            "classes": list(options.classes),
            "least": options.least,
            "augment": options.augment,
        }
        try:
            self._check_classes()
        except BaseException:
            self.close()
            raise

    def __call__(self, image: Image, evidence: ClassEvidence) -> list[FoundObject]:
        boxes = fuse([one for detector in self._detectors for one in self._seen(detector, image)])
        boxes = boxes.above(self._options.least)
        found = self._masks(image, boxes) if self._masks else [None] * len(boxes)
        by = "+".join(self.facts["networks"])
        objects = []
        for corners, score, number, probability in zip(
            boxes.corners.tolist(), boxes.scores, boxes.classes, found, strict=True
        ):
            mask = None if probability is None else np.asarray(probability > 0.5)
            mask = mask if mask is not None and mask.any() else None
            name = self._options.classes[number]
            objects.append(FoundObject(name, float(score), tuple(corners), mask, by))
        return objects

    def close(self) -> None:
        for detector in self._detectors:
            detector.stop()
        if self._masks is not None:
            self._masks.stop()

    def _seen(self, detector: OfficialDetector, image: Image) -> list[Boxes]:
        # What few of several answers see loses score when they are fused: the limit comes then.
        least = self._options.least / (
            2 if self._options.augment or len(self._detectors) > 1 else 1
        )

        def detect(view: Image) -> Boxes:
            return detector(view, self._options.classes, least)

        return answers(detect, image) if self._options.augment else [detect(image)]

    def _check_classes(self) -> None:
        for detector in self._detectors:
            if detector.name not in FIXED:
                continue
            known = lasting(detector.known)
            for name in self._options.classes:
                if name not in known:
                    hint = did_you_mean(name, known)
                    raise UsageError(f"{detector.name} does not know {name!r}{hint}")


def open_labeller(settings: Settings, options: LabelOptions) -> Labeller:
    """Raises UsageError, ModelError, NotInstalled."""
    unknown = [name for name in options.by if name not in NAMES]
    if unknown:
        raise UsageError(f"--by {unknown[0]}: there are {', '.join(NAMES)}")
    if EMBEDDED in options.by and len(options.by) > 1:
        raise UsageError("--by embedded stands alone: it finds only the main object")
    if options.by == (EMBEDDED,):
        return EmbeddedLabeller(settings, options)
    return OfficialLabeller(settings, options)


def lasting(ask: Callable[[], Any]) -> Any:
    """What `ask` gives. A failure that would be the same for every image ends the verb."""
    try:
        return ask()
    except NetworkFailed as error:
        if error.needs_package:
            raise NotInstalled(
                f"official detectors need tagecho[official]: {error.detail}"
            ) from error
        if error.lasting:
            raise ModelError(str(error)) from error
        raise


def main_object(networks: Sequence[Segmenter], image: Image, augment: bool) -> Voted:
    """What several networks say of the main object; `augment`: of the mirror image, too."""
    seen = [
        answer
        for network in networks
        for answer in (both_ways(network, image) if augment else [network(image)])
    ]
    return vote([np.where(one.mask, np.maximum(one.probability, 0.5001), one.probability)
                 for one in seen])  # fmt: skip


def with_drawn(
    objects: Sequence[FoundObject], drawn: Mask | None, evidence: ClassEvidence
) -> list[FoundObject]:
    """A person's mask counts, in place of what was found of the same object."""
    box = box_of(drawn) if drawn is not None else None
    if drawn is None or box is None:
        return list(objects)
    shares = [_overlap(one, drawn, box) for one in objects]
    same = [one for one, share in zip(objects, shares, strict=True) if share >= SAME_OBJECT]
    name, score = evidence.best(None)
    if same:
        name = same[int(np.argmax([one.score for one in same]))].name
    elif score <= 0:
        name = OTHER
    kept = [one for one, share in zip(objects, shares, strict=True) if share < SAME_OBJECT]
    return [FoundObject(name, 1.0, box, drawn, PERSON), *kept]


def _overlap(one: FoundObject, drawn: Mask, box: tuple[float, ...]) -> float:
    if one.mask is not None:
        return iou(one.mask, drawn)
    left, top, right, bottom = (
        f(a, b) for f, a, b in zip((max, max, min, min), one.box, box, strict=True)
    )
    common = max(0.0, right - left) * max(0.0, bottom - top)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one.box, box)]
    return common / max(sum(areas) - common, 1e-9)


def _salient(settings: Settings) -> list[Segmenter]:
    """The quickest official pack of salient objects that was pulled."""
    home: Path = networks_of(settings)
    try:
        names = installed(home)[:1]
        runtime = ServingStages(settings).runtime
        return [masks_only(name, runtime, home) for name in names]
    except WeightsError as error:
        raise ModelError(str(error)) from error
