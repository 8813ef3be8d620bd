"""Masks no person drew, kept where they look trustworthy.

python -m research.proof.pseudo_masks --photos DIR --margins 0.2 0.05 --out runs/masks/NAME
    [--way graph --backbone runs/dino/last.pt] [--way network --network DIR] [--refine grabcut]

Ways: grabcut (a centred rectangle), colour (a graph of Lab colours), tokencut (of a ViT's keys),
graph (of both), seeded (likewise, begun from the middle; by colour alone without --backbone),
combined (GrabCut's rectangle, begun from the seeded mask), network (a second round, by a network
that learned from the first). `docs/benchmarks.md` has what each is worth.

One PNG (0/255) per accepted photo, at the photo's size and under its path below the folder;
`rejected.txt` names the others.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Mask, WeightsError
from models.dino.model import load_teacher
from models.dino.ncut import last_keys, ncut_mask
from models.dino.vit import ViT
from models.images.opacity import on_white
from models.training.augment import to_batch
from research.proof.grabcut import grabcut, grabcut_guided
from research.proof.graphcut import colour_mask, graph_mask, seeded_mask, spread
from research.proof.selftrain import Way, load_student, refined

WAYS = ("grabcut", "colour", "tokencut", "graph", "seeded", "combined", "network")
AREA = (0.06, 0.50)  # share of the picture a believable object covers
ODD = 0.10  # share of the masks dropped for being least like the mean mask
MEAN_SIZE = (48, 48)


def teacher(
    name: str, margins: tuple[float, float], backbone: ViT | None = None, side: int = 224
) -> Way:
    """One of WAYS but "network". ValueError for another, or when a backbone is needed and missing.

    `side`: the ViT sees the picture squeezed to that square.
    """
    if name == "grabcut":
        return partial(grabcut, margins=margins)
    if name == "colour":
        return colour_mask
    if name == "seeded" and backbone is None:
        return partial(seeded_mask, keys=None, cells=16)
    if name not in WAYS or name == "network":
        raise ValueError(f"no way {name!r} to find masks")
    if backbone is None:
        raise ValueError(f"{name} needs --backbone: it cuts by what a ViT sees")
    cells = side // backbone.shape.patch

    def tokencut(image: Image) -> Mask:
        return spread(ncut_mask(keys(backbone, image, cells), cells, cells), image)

    def graph(image: Image) -> Mask:
        return graph_mask(image, keys(backbone, image, cells), cells)

    def seeded(image: Image) -> Mask:
        return seeded_mask(image, keys(backbone, image, cells), cells)

    def combined(image: Image) -> Mask:
        return grabcut_guided(image, seeded(image), margins)

    own = {"tokencut": tokencut, "graph": graph, "seeded": seeded, "combined": combined}
    return own[name]


def keys(backbone: ViT, image: Image, cells: int) -> NDArray[np.float32]:
    """(cells², width) of the last layer, for the picture squeezed to a square."""
    side = cells * backbone.shape.patch
    square = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    found: NDArray[np.float32] = last_keys(backbone, torch.from_numpy(to_batch([square])))[
        0
    ].numpy()
    return found


def judge(masks: Mapping[str, Mask]) -> dict[str, str]:
    """Name → why it is rejected, for the masks that are."""
    rejected = {}
    for name, mask in masks.items():
        area = float(mask.mean())
        if not AREA[0] <= area <= AREA[1]:
            rejected[name] = f"area {area:.2f}"
    kept = [name for name in masks if name not in rejected]
    if len(kept) < 10:  # a mean of so few says nothing
        return rejected
    small = np.stack([shrink(masks[name]) for name in kept])
    likeness = (small * small.mean(0)).sum((1, 2)) / np.sqrt((small**2).sum((1, 2)))
    for place in np.argsort(likeness)[: int(len(kept) * ODD)]:
        rejected[kept[place]] = f"unlike the others, {likeness[place]:.2f}"
    return rejected


def shrink(mask: Mask) -> NDArray[np.float32]:
    small: NDArray[np.float32] = cv2.resize(
        mask.astype(np.float32), MEAN_SIZE, interpolation=cv2.INTER_AREA
    )
    return small


def shot_hash(image: Image) -> NDArray[np.bool_]:
    """(256,) difference hash: nearly equal for two files of one shot."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(int)
    bits: NDArray[np.bool_] = (small[:, 1:] > small[:, :-1]).ravel()
    return bits


def repeats(paths: list[Path], others: list[Path], distance: int = 30) -> set[str]:
    """Stems of `paths` that show the same shot as one of `others`."""
    if not others:
        return set()
    table = np.stack([shot_hash(read(path)) for path in others])
    near = [int((table != shot_hash(read(p))).sum(1).min()) <= distance for p in paths]
    return {path.stem for path, same in zip(paths, near, strict=True) if same}


def read(path: Path) -> Image:
    with Pil.open(path) as photo:
        return np.asarray(on_white(photo))


def make(
    root: Path, out: Path, way: Way, exclude: Path | None, every: int = 1, *, judged: bool = True
) -> Counter[str]:
    """Masks of every `every`-th photo below `root`; returns how many were kept and dropped.

    `judged`: drop what is not believable. Empty masks are always dropped.
    """
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    paths = paths[::every]
    known = repeats(paths, sorted(exclude.glob("*.jpg")) if exclude else [])
    out.mkdir(parents=True, exist_ok=True)
    masks = {}
    for number, path in enumerate(paths, start=1):
        if path.stem not in known:
            masks[str(path.relative_to(root).with_suffix(""))] = way(read(path))
        if number % 100 == 0:
            sys.stderr.write(f"{number}/{len(paths)}\n")
    rejected = judge(masks) if judged else {n: "empty" for n, m in masks.items() if not m.any()}
    for name, mask in masks.items():
        if name not in rejected:
            target = out / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Pil.fromarray(mask.astype(np.uint8) * 255).save(target)
    (out / "rejected.txt").write_text(
        "".join(f"{n}\t{why}\n" for n, why in rejected.items()), encoding="utf-8"
    )
    return Counter(photos=len(paths), repeats=len(known), rejected=len(rejected),
                   kept=len(masks) - len(rejected))  # fmt: skip


def chosen(arguments: argparse.Namespace) -> Way:
    if arguments.way == "network":
        if arguments.network is None:
            raise ValueError("--way network needs --network")
        return load_student(arguments.network)
    backbone = load_teacher(arguments.backbone).eval() if arguments.backbone else None
    return teacher(arguments.way, tuple(arguments.margins), backbone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--margins", type=float, nargs=2, default=(0.2, 0.05))
    parser.add_argument("--exclude", type=Path, help="photos whose shots must not be used")
    parser.add_argument("--every", type=int, default=1, help="take every N-th photo")
    parser.add_argument("--way", choices=WAYS, default="grabcut")
    parser.add_argument("--backbone", type=Path, help="checkpoint of models.dino.train")
    parser.add_argument("--network", type=Path, help="folder of an exported segment.onnx")
    parser.add_argument("--refine", choices=("none", "grabcut", "guided"), default="none")
    parser.add_argument("--keep", choices=("believable", "all"), default="believable")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        way = refined(chosen(arguments), arguments.refine)
    except (ValueError, WeightsError) as error:
        sys.exit(f"error: {error}")
    judged = arguments.keep == "believable"
    counts = make(
        arguments.photos, arguments.out, way, arguments.exclude, arguments.every, judged=judged
    )
    sys.stderr.write(f"{dict(counts)}\n")


if __name__ == "__main__":
    main()
