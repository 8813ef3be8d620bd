"""Masks no person drew: GrabCut with a centre prior, kept where they look trustworthy.

python -m models.segment.teacher --photos DIR --margins 0.2 0.05 --out runs/masks/NAME

One PNG (0/255) per accepted photo, at the photo's size and under its path below the folder;
`rejected.txt` names the others.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy import ndimage

from models.base import Image, Mask

LONG_SIDE = 256  # GrabCut works at this size
ITERATIONS = 5
AREA = (0.06, 0.50)  # share of the picture a believable object covers
ODD = 0.10  # share of the masks dropped for being least like the mean mask
MEAN_SIZE = (48, 48)


def grabcut(image: Image, margins: tuple[float, float]) -> Mask:
    """Foreground of a rectangle that leaves `margins` (left and right, top and bottom) free."""
    height, width = image.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    x, y = round(columns * margins[0]), round(rows * margins[1])
    rectangle = (x, y, columns - 2 * x, rows - 2 * y)
    labels = np.zeros((rows, columns), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(small[..., ::-1]), labels, rectangle, *models, ITERATIONS,
        cv2.GC_INIT_WITH_RECT,
    )  # fmt: skip
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    found = keep_central(found)
    scaled = cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    full: Mask = scaled.astype(bool)
    return full


def keep_central(mask: Mask) -> Mask:
    """Components of at least a fifth of the largest whose box meets the middle half."""
    smooth = ndimage.binary_opening(mask, iterations=1)
    labels, count = ndimage.label(smooth)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = np.zeros(count + 1, bool)
    quarter = labels.shape[1] // 4
    for number, (_, columns) in enumerate(ndimage.find_objects(labels), start=1):
        central = columns.start < 3 * quarter and columns.stop > quarter
        keep[number] = central and sizes[number] >= sizes.max() / 5
    filled: Mask = ndimage.binary_fill_holes(keep[labels])
    return filled


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
        return np.asarray(photo.convert("RGB"))


def make(
    root: Path, out: Path, margins: tuple[float, float], exclude: Path | None, every: int = 1
) -> Counter[str]:
    """Masks of every `every`-th photo below `root`; returns how many were kept and dropped."""
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    paths = paths[::every]
    known = repeats(paths, sorted(exclude.glob("*.jpg")) if exclude else [])
    out.mkdir(parents=True, exist_ok=True)
    masks = {}
    for number, path in enumerate(paths, start=1):
        if path.stem not in known:
            masks[str(path.relative_to(root).with_suffix(""))] = grabcut(read(path), margins)
        if number % 100 == 0:
            sys.stderr.write(f"{number}/{len(paths)}\n")
    rejected = judge(masks)
    for name, mask in masks.items():
        if name not in rejected:
            target = out / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Pil.fromarray(mask.astype(np.uint8) * 255).save(target)
    (out / "rejected.txt").write_text("".join(f"{n}\t{why}\n" for n, why in rejected.items()))
    return Counter(photos=len(paths), repeats=len(known), rejected=len(rejected),
                   kept=len(masks) - len(rejected))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--margins", type=float, nargs=2, default=(0.2, 0.05))
    parser.add_argument("--exclude", type=Path, help="photos whose shots must not be used")
    parser.add_argument("--every", type=int, default=1, help="take every N-th photo")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    margins = (arguments.margins[0], arguments.margins[1])
    counts = make(arguments.photos, arguments.out, margins, arguments.exclude, arguments.every)
    sys.stderr.write(f"{dict(counts)}\n")


if __name__ == "__main__":
    main()
