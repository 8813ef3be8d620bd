"""What each part of the teacher is worth: IoU of its masks on photos that nobody trains on.

python -m research.proof.teacher --masks DIR --out runs/proof [--backbone runs/dino/last.pt]
    [--weights models/embedded] [--limit 200]

Nothing is chosen by these figures; they are of the reporting ids. Resumable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import torch

from models.base import Mask
from models.dino.model import load_teacher
from models.dino.vit import Shape, ViT
from models.metrics.labelled import Labelled
from models.metrics.masks import iou
from models.segment.evaluate import centre_box
from models.serving.packs import EMBEDDED
from research.proof.arms import MARGINS
from research.proof.book import Book, Key
from research.proof.grabcut import grabcut
from research.proof.pseudo_masks import judge, teacher
from research.proof.report import plain, points
from research.proof.selftrain import Way, load_student, refined
from research.proof.superres import chosen, gain

Find = Callable[[Labelled], Mask]

BASE = "GrabCut, centred rectangle"
WIDER = (0.1, 0.1)  # margins of a rectangle that knows less


def ways(backbone: ViT | None, weights: Path) -> dict[str, Find]:
    """In the order of the table. The ViT ways of a trained backbone only when there is one."""
    torch.manual_seed(0)
    untrained = ViT(backbone.shape if backbone else Shape()).eval()
    plans: dict[str, Way] = {"TokenCut, untrained ViT": teacher("tokencut", MARGINS, untrained)}
    if backbone is not None:
        plans["TokenCut, DINO"] = teacher("tokencut", MARGINS, backbone)
    plans["colour graph"] = teacher("colour", MARGINS)
    plans["colour graph, from the middle"] = teacher("seeded", MARGINS)
    if backbone is not None:
        plans["colour and DINO graph"] = teacher("graph", MARGINS, backbone)
        plans["colour and DINO graph, from the middle"] = teacher("seeded", MARGINS, backbone)
    plans |= {f"{name} → GrabCut": refined(way, "grabcut") for name, way in list(plans.items())}
    plans[BASE] = teacher("grabcut", MARGINS)
    plans["GrabCut, wider rectangle"] = partial(grabcut, margins=WIDER)
    plans[f"{BASE} → guided filter"] = refined(plans[BASE], "guided")
    if backbone is not None:
        plans["combined: rectangle begun from the graph"] = teacher("combined", MARGINS, backbone)
    student = load_student(weights, sure=0.0)
    plans["second round: the shipped network"] = student
    plans["second round → GrabCut"] = refined(student, "grabcut")
    return {"centre box": centre_box} | {name: by_image(way) for name, way in plans.items()}


def by_image(way: Way) -> Find:
    return lambda item: way(item.image)


def measure(book: Book, items: Sequence[Labelled], finds: dict[str, Find]) -> None:
    """Whatever is missing, and for GrabCut's rectangle, what the filter leaves."""
    for name, find in finds.items():
        key = key_of(name)
        if book.has(key) and (name != BASE or book.has(key_of(FILTERED))):
            continue
        sys.stderr.write(f"{name}\n")
        masks = {item.name: find(item) for item in items}
        ious = {item.name: iou(masks[item.name], item.mask) for item in items}
        if name == BASE:
            rejected = judge(masks)
            kept = {item: value for item, value in ious.items() if item not in rejected}
            if kept:
                book.write(key_of(FILTERED), kept, {"rejected": len(rejected)})
        book.write(key, ious, {})


FILTERED = f"{BASE}, those the filter keeps"


def key_of(name: str) -> Key:
    return Key("teacher", "".join(c if c.isalnum() else "-" for c in name))


def table(book: Book, names: Sequence[str]) -> Iterator[str]:
    yield "| teacher | photos | IoU of its masks | minus GrabCut, points |"
    yield "|---|---|---|---|"
    base = key_of(BASE)
    for name in (*names, FILTERED):
        key = key_of(name)
        figure = book.mean(key.measure, key.arm, 0, without=())
        if figure is None:
            continue
        compared = name != BASE and book.has(base)
        above = points(gain(book, key, base)) if compared else "–"
        if name == FILTERED:
            above = "– (fewer photos)"
        yield f"| {name} | {figure.images} | {plain(figure)} | {above} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, help="checkpoint of models.dino.train")
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--limit", type=int, help="only so many of the reporting photos")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    backbone = load_teacher(options.backbone).eval() if options.backbone else None
    finds = ways(backbone, options.weights)
    book = Book(options.out / "teacher")
    measure(book, chosen(options.masks, options.limit), finds)
    sys.stdout.write("\n".join(table(book, list(finds))) + "\n")


if __name__ == "__main__":
    main()
