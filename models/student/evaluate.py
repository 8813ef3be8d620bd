"""What a segmenter is worth on photos that it did not learn from: masks and embedding.

python -m models.student.evaluate --photos ROOT [--weights models/embedded] [--pack NAME]
    [--only ecssd knn hashtags copies] [--most 100]

ROOT as `models.student.photos` has it, with `ecssd/{photos,labels}`. Of ECSSD, ids that end in 0 or
5 chose thresholds; all others report. 95 % bootstrap intervals over photos.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from models.base import Image, Segmenter
from models.metrics.bootstrap import interval
from models.metrics.labelled import labelled
from models.metrics.masks import boundary_f, iou
from models.segment.segmenter import OnnxSegmenter
from models.serving.packs import EMBEDDED, embedded_weights, load_segmenter
from models.serving.runtime import Runtime
from models.student.photos import hashtag_posts, judges, judging_author, withheld

NEAREST = 5
COPIED = 100  # photos of which edited copies are looked for, among all
TINT = np.array([1.1, 0.95, 0.8], np.float32)

Rows = NDArray[np.float64]
Vectors = NDArray[np.float32]


def chooses(name: str) -> bool:
    return name.endswith(("0", "5"))


def read(path: Path) -> Image:
    with Pil.open(path) as photo:
        return np.asarray(photo.convert("RGB"))


def embedded_photos(segmenter: Segmenter, paths: Iterable[Path]) -> Vectors:
    """(N, D)"""
    return np.stack([segmenter(read(path)).embedding for path in paths])


def masks(segmenter: Segmenter, folder: Path, most: int | None = None) -> dict[str, Rows]:
    """Of the reporting photos of `folder`: IoU, boundary F, no mask at all (0 or 1)."""
    names = sorted(path.stem for path in (folder / "labels").glob("*.png"))
    names = [name for name in names if not chooses(name)][:most]
    rows = []
    for item in labelled(folder, frozenset(names)):
        got = segmenter(item.image).mask
        rows.append((iou(got, item.mask), boundary_f(got, item.mask), float(not got.any())))
    columns = np.array(rows, np.float64).T
    return {
        "IoU": columns[0], "at least .8": (columns[0] >= 0.8).astype(float),
        "boundary F": columns[1], "empty": columns[2],
    }  # fmt: skip


def nearest_class(segmenter: Segmenter, root: Path) -> dict[str, Rows]:
    """1-NN among five photos of each of 34 folders: right (1) or wrong, by query."""
    gallery: list[Vectors] = []
    queries: list[Vectors] = []
    known: list[str] = []
    asked: list[str] = []
    for folder, ours, theirs in judges(root):
        gallery.append(embedded_photos(segmenter, ours))
        queries.append(embedded_photos(segmenter, theirs))
        known += [folder] * len(ours)
        asked += [folder] * len(theirs)
    near = (np.concatenate(queries) @ np.concatenate(gallery).T).argmax(1)
    right = np.array([known[place] for place in near]) == np.array(asked)
    unseen = np.isin(asked, sorted(withheld()))
    return {"1-NN": right.astype(float), "1-NN, folders never seen": right[unseen].astype(float)}


def same_hashtag(segmenter: Segmenter, root: Path) -> dict[str, Rows]:
    """Share of the five nearest of other authors that have the hashtag; authors that judge."""
    posts = [post for post in hashtag_posts(root) if judging_author(post["author"])]
    paths = [root / "hashtags" / "photos" / f"{post['id']}.jpg" for post in posts]
    vectors = embedded_photos(segmenter, paths)
    near = vectors @ vectors.T
    authors, tags = (np.array([post[key] for post in posts]) for key in ("author", "hashtag"))
    near[authors[:, None] == authors[None]] = -np.inf
    nearest = np.argsort(-near, axis=1)[:, :NEAREST]
    return {f"P@{NEAREST}": (tags[nearest] == tags[:, None]).mean(1)}


def cropped(image: Image) -> Image:
    """60 % of the area, from the upper left third, at JPEG quality 30."""
    height, width = image.shape[:2]
    rows, columns = round(height * 0.6**0.5), round(width * 0.6**0.5)
    top, left = (height - rows) // 3, (width - columns) // 3
    file = io.BytesIO()
    Pil.fromarray(image[top : top + rows, left : left + columns]).save(file, "JPEG", quality=30)
    return np.asarray(Pil.open(file).convert("RGB"))


def framed(image: Image) -> Image:
    """A white frame of a tenth, and a warm tint."""
    edge = round(0.1 * min(image.shape[:2]))
    tinted = np.clip(image * TINT, 0, 255).astype(np.uint8)
    whole: Image = cv2.copyMakeBorder(
        tinted, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    return whole


def mirrored(image: Image) -> Image:
    """And half the size."""
    half: Image = cv2.resize(
        np.ascontiguousarray(image[:, ::-1]), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    )
    return half


EDITS: dict[str, Callable[[Image], Image]] = {
    "crop 60 % + JPEG 30": cropped, "frame + tint": framed, "mirror + half size": mirrored,
}  # fmt: skip


def copies(segmenter: Segmenter, folder: Path) -> dict[str, Rows]:
    """Whether an edited copy's nearest of all photos is its original, by edit."""
    paths = sorted((folder / "photos").glob("*.jpg"))
    vectors = embedded_photos(segmenter, paths)
    chosen = np.linspace(0, len(paths) - 1, min(COPIED, len(paths))).astype(int)
    found = {}
    for name, edit in EDITS.items():
        edited = np.stack([segmenter(edit(read(paths[place]))).embedding for place in chosen])
        found[name] = ((edited @ vectors.T).argmax(1) == chosen).astype(float)
    return found


def table(figures: dict[str, Rows]) -> str:
    lines = []
    for name, rows in figures.items():
        low, high = interval(rows)
        lines.append(f"| {name} | {len(rows)} | {rows.mean():.3f} | {low:.3f}–{high:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--pack", help="an installed pack instead")
    parser.add_argument("--home", type=Path, help="where the packs are")
    parser.add_argument("--only", nargs="+", default=["ecssd", "knn", "hashtags", "copies"])
    parser.add_argument("--most", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    root, runtime = arguments.photos, Runtime(threads=arguments.threads)
    segmenter: Segmenter
    if arguments.pack:
        segmenter = load_segmenter(arguments.pack, runtime, arguments.home)
    else:
        segmenter = OnnxSegmenter(embedded_weights("segment", arguments.weights), runtime)
    tasks: dict[str, Callable[[], dict[str, Rows]]] = {
        "ecssd": lambda: masks(segmenter, root / "ecssd", arguments.most),
        "knn": lambda: nearest_class(segmenter, root),
        "hashtags": lambda: same_hashtag(segmenter, root),
        "copies": lambda: copies(segmenter, root / "ecssd"),
    }
    for name in arguments.only:
        sys.stdout.write(table(tasks[name]()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
