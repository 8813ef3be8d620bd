"""Which threshold and which least confidence an exported student shall be served with.

python -m models.student.choose --photos ROOT --weights DIR [--most 100]

Looks only at what may choose: photos of `ecssd` whose ids end in 0 or 5, those of `masks` that
`models.segment.selection` names, and the stretches beside their objects. The network runs once for
each picture; every pair of limits is then tried on what it gave.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.base import Mask, Probability, Segmenter
from models.metrics.labelled import Labelled, background, labelled
from models.metrics.masks import boundary_f, iou
from models.segment.evaluate import selection
from models.segment.segmenter import OnnxSegmenter
from models.segment.tidy import tidy
from models.serving.packs import embedded_weights
from models.serving.runtime import Runtime
from models.student.evaluate import chooses

THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
CONFIDENCES = (0.65, 0.7, 0.75, 0.8, 0.85)
STREETS = 25  # of the street photos that may choose


@dataclass(frozen=True, slots=True)
class Given:
    """What the network gave for a picture before any limit."""

    probability: Probability  # (H, W) float32, at the picture's own size
    wanted: Mask | None  # None: it shows no object


def choosing(root: Path, most: int | None) -> list[Labelled]:
    names = sorted(path.stem for path in (root / "ecssd" / "labels").glob("*.png"))
    scenes = frozenset([name for name in names if chooses(name)][:most])
    streets = frozenset(sorted(selection())[:STREETS])
    return [*labelled(root / "ecssd", scenes), *labelled(root / "masks", streets)]


def given(segmenter: Segmenter, items: list[Labelled]) -> list[Given]:
    """Of each picture, and of the stretch beside its object where there is one."""
    found = []
    for item in items:
        found.append(Given(segmenter(item.image).probability, item.mask))
        beside = background(item)
        if beside is not None:
            found.append(Given(segmenter(beside.image).probability, None))
    return found


def confidence(probability: Probability, threshold: float) -> float:
    """The mean of the probability inside the mask, as serving has it (there, before the guided
    filter, which changes it by little).
    """
    inside = probability > threshold
    return float(probability[inside].mean()) if inside.any() else 0.0


def figures(seen: list[Given], threshold: float) -> tuple[list[float], list[float], list[float]]:
    """IoU and confidence of the pictures with an object, boundary F of the same."""
    masks = [tidy(one.probability > threshold) for one in seen if one.wanted is not None]
    wanted = [one.wanted for one in seen if one.wanted is not None]
    pairs = list(zip(masks, wanted, strict=True))
    sure = [confidence(one.probability, threshold) for one in seen if one.wanted is not None]
    return [iou(*pair) for pair in pairs], [boundary_f(*pair) for pair in pairs], sure


def table(seen: list[Given]) -> str:
    lines = ["| threshold | confidence | IoU | boundary F | empty | objectless |", "|---" * 6 + "|"]
    for threshold in THRESHOLDS:
        ious, edges, sure = (np.array(values) for values in figures(seen, threshold))
        none = np.array(
            [confidence(one.probability, threshold) for one in seen if one.wanted is None]
        )
        for least in CONFIDENCES:
            kept = sure >= least
            lines.append(
                f"| {threshold} | {least} | {(ious * kept).mean():.3f} "
                f"| {(edges * kept).mean():.3f} | {1 - kept.mean():.3f} "
                f"| {(none >= least).mean():.3f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--most", type=int, help="photos of ecssd")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    segmenter = OnnxSegmenter(
        embedded_weights("segment", arguments.weights), Runtime(threads=arguments.threads)
    )
    seen = given(segmenter, choosing(arguments.photos, arguments.most))
    sys.stdout.write(table(seen) + "\n")


if __name__ == "__main__":
    main()
