"""A second round: masks by a network that learned from the first round's, where it is sure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.base import Image, Mask, Segmenter
from models.segment.guided import refine
from models.segment.segmenter import OnnxSegmenter
from models.serving.packs import embedded_weights
from models.serving.runtime import Runtime
from research.proof.grabcut import grabcut_from

Way = Callable[[Image], Mask]

SURE = 0.8  # mean probability inside a mask worth learning from


def student_way(segmenter: Segmenter, sure: float = SURE) -> Way:
    """Its mask, empty when it is not sure: an empty mask is never kept."""

    def find(image: Image) -> Mask:
        found = segmenter(image)
        return found.mask & (found.confidence >= sure)

    return find


def load_student(folder: Path, sure: float = SURE) -> Way:
    """Of the folder of an exported network (segment.onnx). Raises WeightsError."""
    return student_way(OnnxSegmenter(embedded_weights("segment", folder), Runtime(threads=1)), sure)


def refined(way: Way, how: str) -> Way:
    """`way` with its masks moved to the picture's edges: by "grabcut", "guided" or "none" at all.

    ValueError for another word.
    """
    if how == "none":
        return way
    if how == "grabcut":
        return lambda image: grabcut_from(image, way(image))
    if how == "guided":
        return lambda image: refine(way(image).astype("float32"), image) > 0.5
    raise ValueError(f"no refinement {how!r}")
