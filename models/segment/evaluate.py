"""How good the shipped segmenter is, on masks that no training saw.

python -m models.segment.evaluate --masks DIR [--weights models/embedded] [--split report] [--json]

DIR holds `photos/ID.jpg` and `labels/ID.png` (0: background). `selection.txt` beside this file
names the ids that thresholds may be chosen on; figures are reported on all others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.base import Mask, Segmenter
from models.metrics.bootstrap import interval
from models.metrics.labelled import Labelled, background, canvas, labelled, push_to_border
from models.metrics.masks import iou
from models.segment.segmenter import OnnxSegmenter
from models.serving.packs import EMBEDDED, embedded_weights
from models.serving.runtime import Runtime

SELECTION = Path(__file__).parent / "selection.txt"
BORDERS = ("left", "right", "top", "bottom")


@dataclass(frozen=True, slots=True)
class SetFigures:
    what: str
    pictures: int
    mean: float
    median: float
    low: float  # 95 % bootstrap interval of the mean
    high: float


@dataclass(frozen=True, slots=True)
class Report:
    ious: list[SetFigures]
    empty_masks: float  # share of pictures with an object that got an empty mask
    false_positives: float  # share of objectless pictures that got a mask
    objectless: int


def selection() -> frozenset[str]:
    return frozenset(SELECTION.read_text(encoding="utf-8").split())


def split_names(folder: Path, split: str) -> frozenset[str]:
    """Ids of `folder` in the split: selection, report (all others) or all."""
    names = frozenset(path.stem for path in (folder / "labels").glob("*.png"))
    parts = {"selection": names & selection(), "report": names - selection(), "all": names}
    return parts[split]


def centre_box(item: Labelled) -> Mask:
    """What one gets without looking: a box with margins of 25 % and 8 %."""
    height, width = item.mask.shape
    box: Mask = np.zeros((height, width), bool)
    box[round(0.08 * height) : round(0.92 * height), round(0.25 * width) : round(0.75 * width)] = 1
    return box


def row(what: str, values: list[float]) -> SetFigures:
    array = np.array(values, np.float64)
    figures = (float(array.mean()), float(np.median(array)), *interval(array))
    return SetFigures(what, len(values), *(round(figure, 4) for figure in figures))


def off_centre(items: Iterable[Labelled]) -> Iterator[Labelled]:
    """One crop per picture, the four borders in turn."""
    for number, item in enumerate(items):
        moved = push_to_border(item, BORDERS[number % 4])
        if moved is not None:
            yield moved


def evaluate(segmenter: Segmenter, items: list[Labelled]) -> Report:
    rng = np.random.default_rng(0)
    found = [segmenter(item.image).mask for item in items]
    ious = [iou(mask, item.mask) for mask, item in zip(found, items, strict=True)]
    boxes = [iou(centre_box(item), item.mask) for item in items]
    crops = list(off_centre(items))
    canvases = [canvas(item, rng) for item in items]
    rows = [
        row("whole photos", ious),
        row("pushed to a border", [iou(segmenter(c.image).mask, c.mask) for c in crops]),
        row("in a corner of a canvas", [iou(segmenter(c.image).mask, c.mask) for c in canvases]),
        row("control: centre box, whole photos", boxes),
        row("control: centre box, border", [iou(centre_box(c), c.mask) for c in crops]),
    ]
    empty = [b for b in (background(item) for item in items) if b is not None]
    wrong = [bool(segmenter(b.image).mask.any()) for b in empty]
    return Report(
        rows,
        round(float(np.mean([not mask.any() for mask in found])), 4),
        round(float(np.mean(wrong)), 4) if wrong else 0.0,
        len(empty),
    )


def table(report: Report) -> str:
    lines = ["| IoU | pictures | mean | median | 95 % interval |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.what} | {r.pictures} | {r.mean:.3f} | {r.median:.3f} | {r.low:.3f}–{r.high:.3f} |"
        for r in report.ious
    ]
    lines.append(f"\nEmpty masks on photos with an object: {report.empty_masks:.1%}")
    lines.append(f"Masks on {report.objectless} objectless crops: {report.false_positives:.1%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--split", choices=("selection", "report", "all"), default="report")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    items = list(labelled(arguments.masks, split_names(arguments.masks, arguments.split)))
    segmenter = OnnxSegmenter(embedded_weights("segment", arguments.weights), Runtime(threads=1))
    report = evaluate(segmenter, items)
    text = json.dumps(asdict(report), indent=2) if arguments.json else table(report)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
