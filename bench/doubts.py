"""What becomes of bad masks: held back for a person, or sent by themselves.

python -m bench.doubts DIR: `photos/ID.jpg` and `labels/ID.png`, as for `tagecho models evaluate`. A
mask is bad below an IoU of .7 with the one that a person drew. It is beheaded if less than half of
the top eighth of the object is in it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.base import Mask, Segmentation
from models.metrics.labelled import labelled
from models.metrics.masks import iou
from models.metrics.ranking import auroc
from models.segment.doubt import beyond, doubt
from models.segment.segmenter import embedded
from models.serving.runtime import Runtime

BAD = 0.7


@dataclass(frozen=True, slots=True)
class Judged:
    iou: float
    headless: bool
    confidence: float
    beyond: float
    held: bool


def judged(found: Segmentation, wanted: Mask) -> Judged:
    rows = np.flatnonzero(wanted.any(axis=1))
    top = slice(rows[0], rows[0] + max(1, (rows[-1] - rows[0]) // 8))
    shown = (found.mask[top] & wanted[top]).sum() / wanted[top].sum()
    return Judged(
        iou(found.mask, wanted),
        bool(shown < 0.5),
        found.confidence,
        beyond(found),
        bool(doubt(found)) or not found.mask.any(),  # without a mask, nothing of it is shown
    )


def main() -> None:
    segmenter = embedded(Runtime(threads=1))
    photos = [one for one in labelled(Path(sys.argv[1])) if one.mask.any()]
    found = [judged(segmenter(one.image), one.mask) for one in photos]
    held = np.array([one.held for one in found])
    mean = np.mean([one.iou for one in found])
    print(f"{len(found)} photos, mean IoU {mean:.3f}, held {held.mean():.1%}")
    for what, wrong in (
        ("bad", np.array([one.iou < BAD for one in found])),
        ("beheaded", np.array([one.headless for one in found])),
    ):
        print(
            f"{what}: {wrong.mean():.1%} of all, {wrong[~held].mean():.1%} of those not held,",
            end=" ",
        )
        print(f"{held[wrong].mean():.1%} of them held" if wrong.any() else "none")
        if wrong.any() and not wrong.all():
            sure = auroc(np.array([-one.confidence for one in found]), wrong)
            rest = auroc(np.array([one.beyond for one in found]), wrong)
            print(f"  AUROC by confidence {sure:.3f}, by what is half seen {rest:.3f}")


if __name__ == "__main__":
    main()
