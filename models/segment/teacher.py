"""What networks that have learned say of photos nobody labelled: soft masks, where they are sure.

python -m models.segment.teacher --photos DIR --out DIR --network FOLDER [--pack NAME --home DIR]

FOLDER has a network of ours (segment.onnx and its manifest); NAME is an official pack below HOME.
Each is asked for the picture and for its mirror image, and each has moved its answer to the edges
of the picture already (`models.segment.guided`). The mean of all answers is the mask: what they do
not agree about is grey.

One PNG (0 to 255, which is sure) per photo that they are sure of, at the photo's size and under its
path below the folder; `rejected.txt` names the others.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.base import Image, Probability, Segmentation, Segmenter, WeightsError
from models.images.opacity import on_white
from models.segment.saliency import masks_only
from models.segment.segmenter import open_segmenter
from models.serving.packs import embedded_weights
from models.serving.runtime import Runtime

SURE = 0.8  # least mean of the answers inside the mask
MOST_AREA = 0.9  # of the picture: what fills it all is no object that one could cut out
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class Taught:
    """The mean of the answers, (H, W) in [0, 1], and why it must not teach; empty if it may."""

    mask: Probability
    doubt: str = ""


Teacher = Callable[[Image], Taught]


def teacher(networks: Sequence[Segmenter]) -> Teacher:
    """`networks`: at least one. A network that finds nothing, by its own limits, is in doubt."""

    def teach(image: Image) -> Taught:
        answers = [answer for network in networks for answer in both_ways(network, image)]
        mask: Probability = np.mean([answer.probability for answer in answers], axis=0)
        found = all(answer.mask.any() for answer in answers)
        return Taught(mask, doubt(mask) if found else "no object that is sure")

    return teach


def both_ways(network: Segmenter, image: Image) -> list[Segmentation]:
    """Of the picture and of its mirror image, both as the picture is."""
    mirrored = network(np.ascontiguousarray(image[:, ::-1]))
    back = Segmentation(
        mirrored.probability[:, ::-1], mirrored.mask[:, ::-1],
        mirrored.confidence, mirrored.embedding,
    )  # fmt: skip
    return [network(image), back]


def doubt(mask: Probability) -> str:
    """Why a mean of answers must not teach; empty if it may."""
    inside = mask > 0.5
    if not inside.any():
        return "no object that all agree about"
    sure, area = float(mask[inside].mean()), float(inside.mean())
    if sure < SURE:
        return f"confidence {sure:.2f}"
    return f"area {area:.2f}" if area > MOST_AREA else ""


def make(root: Path, out: Path, teach: Teacher) -> Counter[str]:
    """Masks of the photos below `root`; returns how many were kept and rejected."""
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
    out.mkdir(parents=True, exist_ok=True)
    rejected = []
    for number, path in enumerate(paths, start=1):
        name = path.relative_to(root).with_suffix("")
        with Pil.open(path) as photo:
            lesson = teach(np.asarray(on_white(photo)))
        target = out / f"{name}.png"
        if lesson.doubt:
            target.unlink(missing_ok=True)  # of a run that was broken off
            rejected.append(f"{name}\t{lesson.doubt}\n")
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            Pil.fromarray(np.rint(lesson.mask * 255).astype(np.uint8)).save(target)
        if number % 100 == 0:
            sys.stderr.write(f"{number}/{len(paths)}\n")
    (out / "rejected.txt").write_text("".join(rejected), encoding="utf-8")
    return Counter(photos=len(paths), rejected=len(rejected), kept=len(paths) - len(rejected))


def opened(network: Path, pack: str, home: Path | None, threads: int = 1) -> list[Segmenter]:
    """Ours of the folder `network`, and the official `pack` when one is named. WeightsError."""
    runtime = Runtime(threads=threads)
    ours = open_segmenter(embedded_weights("segment", network), runtime)
    return [ours, masks_only(pack, runtime, home)] if pack else [ours]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", type=Path, required=True, help="folder of segment.onnx")
    parser.add_argument("--pack", default="", help="an official pack that needs no torch")
    parser.add_argument("--home", type=Path, help="the folder of official packs")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    try:
        networks = opened(arguments.network, arguments.pack, arguments.home, arguments.threads)
    except WeightsError as error:
        sys.exit(f"error: {error}")
    counts = make(arguments.photos, arguments.out, teacher(networks))
    sys.stderr.write(f"{counts['kept']} of {counts['photos']} photos have a mask that is sure\n")


if __name__ == "__main__":
    main()
