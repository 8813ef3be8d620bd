"""Official detectors, and segment-anything for their boxes, each in a process of its own.

This side imports no torch: see `models.official.detection` and `models.official.sam`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.base import Image, Probability
from models.detect.boxes import Boxes
from models.serving.network_process import NetworkProcess, ProcessBounds
from models.serving.shelf import official_weights

KINDS = {
    "owlv2-base": "owlv2",
    "grounding-dino-tiny": "grounding-dino",
    "rtdetr-r18": "rt-detr",
}
ENTRY = "models.official.detection:answerer"
FIXED = frozenset({"rtdetr-r18"})  # know their own classes only


class OfficialDetector:
    """(H, W, 3) uint8 and names of classes → Boxes in px. Raises NetworkFailed."""

    def __init__(self, name: str, home: Path | None, bounds: ProcessBounds) -> None:
        """A pack of `KINDS`; the first question starts the process. Raises WeightsError."""
        weights = official_weights(name, home)
        self.name, self.version = name, weights.version
        arguments = {
            "kind": KINDS[name],
            "folder": str(weights.path.parent),
            "threads": bounds.threads,
        }
        self._process = NetworkProcess(ENTRY, arguments, bounds)

    def known(self) -> list[str]:
        """The classes of a detector with fixed ones; none: any words will do."""
        facts, _ = self._process.ask({})
        return list(facts["known"])

    def __call__(self, image: Image, classes: Sequence[str], threshold: float) -> Boxes:
        facts = {"classes": list(classes), "threshold": threshold}
        _, (scores, corners, numbers) = self._process.ask(facts, [image])
        found = Boxes(corners.reshape(-1, 4), scores, numbers)
        return found.within(image.shape[1], image.shape[0])

    def asked_for(self, classes: Sequence[str]) -> OneQuestion:
        return OneQuestion(self, tuple(classes))

    def stop(self) -> None:
        self._process.stop()


@dataclass(frozen=True, slots=True)
class OneQuestion:
    """A detector that is asked for the same classes again and again."""

    detector: OfficialDetector
    classes: tuple[str, ...]
    threshold: float = 0.3

    def __call__(self, image: Image) -> Boxes:
        return self.detector(image, self.classes, self.threshold)

    def stop(self) -> None:
        self.detector.stop()


class BoxMasks:
    """segment-anything: a mask for each box. Raises NetworkFailed."""

    def __init__(self, name: str, home: Path | None, bounds: ProcessBounds) -> None:
        """Raises WeightsError."""
        weights = official_weights(name, home)
        self.version = weights.version
        arguments = {"path": str(weights.path), "threads": bounds.threads}
        self._process = NetworkProcess("models.official.sam:answerer", arguments, bounds)

    def __call__(self, image: Image, boxes: Boxes) -> list[Probability]:
        """(H, W) each, the best answer for the box."""
        if not len(boxes):
            return []
        _, found = self._process.ask({"boxes": boxes.corners.tolist()}, [image])
        return [np.asarray(answer / 255, np.float32) for answer in found]

    def stop(self) -> None:
        self._process.stop()
