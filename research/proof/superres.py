"""Does super-resolution before the segmenter help? IoU of the shipped one on photos made small.

python -m research.proof.superres --masks DIR --out runs/proof [--weights models/embedded]

The photos are reduced to a long side of 96, 160 and 320 px, enlarged by our network, by a bicubic
filter or not at all, and segmented; masks are compared at the size of the original. Resumable.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pil

from models.base import Image, Mask, Segmenter
from models.metrics.bootstrap import paired_interval
from models.metrics.labelled import Labelled, labelled
from models.metrics.masks import iou
from models.segment.evaluate import split_names
from models.segment.segmenter import OnnxSegmenter
from models.serving.packs import EMBEDDED, embedded_weights
from models.serving.runtime import Runtime
from models.superres.upscaler import embedded
from research.proof.book import Book, Figure, Key, column
from research.proof.report import plain, points

PLANS = ((96, 4), (96, 2), (160, 4), (160, 2), (320, 2))  # long side in px, times
WAYS = ("none", "bicubic", "ours")

Enlarge = Callable[[Image], Image]


def reduced(image: Image, side: int) -> Image:
    """To a long side of `side`; a smaller picture stays."""
    factor = min(1.0, side / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(Pil.fromarray(image).resize(size, Pil.Resampling.LANCZOS))


def bicubic(scale: int) -> Enlarge:
    def enlarge(image: Image) -> Image:
        size = (scale * image.shape[1], scale * image.shape[0])
        return np.asarray(Pil.fromarray(image).resize(size, Pil.Resampling.BICUBIC))

    return enlarge


def found(segmenter: Segmenter, picture: Image, shape: tuple[int, ...]) -> Mask:
    """The mask of `picture`, at `shape` = (height, width)."""
    mask = segmenter(picture).mask.astype(np.float32)
    full: Mask = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return full


def measure(
    book: Book, items: Sequence[Labelled], segmenter: Segmenter, enlargers: Mapping[int, Enlarge]
) -> None:
    """Whatever is missing in `book`; `enlargers` by scale."""
    for side, scale in PLANS:
        ways = {"none": lambda image: image, "bicubic": bicubic(scale), "ours": enlargers[scale]}
        for way, enlarge in ways.items():
            key = key_of(side, scale, way)
            if book.has(key):
                continue
            sys.stderr.write(f"{side} px, x{scale}, {way}\n")
            small = ((item, reduced(item.image, side)) for item in items)
            ious = {
                item.name: iou(found(segmenter, enlarge(image), item.mask.shape), item.mask)
                for item, image in small
            }
            book.write(key, ious, {"segmenter": segmenter.version})


def key_of(side: int, scale: int, way: str) -> Key:
    """Without enlarging, the scale makes no difference: it is measured once."""
    return Key(f"long-{side}", way if way == "none" else f"{way}-x{scale}")


def table(book: Book) -> Iterator[str]:
    yield "| long side, scale | as it is | bicubic | ours | ours − as it is | ours − bicubic |"
    yield "|---|---|---|---|---|---|"
    for side, scale in PLANS:
        keys = [key_of(side, scale, way) for way in WAYS]
        if all(map(book.has, keys)):
            means = [plain(book.mean(key.measure, key.arm, 0, without=())) for key in keys]
            gains = [points(gain(book, keys[2], other)) for other in keys[:2]]
            yield f"| {side} px, ×{scale} | {' | '.join((*means, *gains))} |"


def gain(book: Book, ours: Key, theirs: Key) -> Figure:
    one, other = book.read(ours), book.read(theirs)
    names = sorted(one.keys() & other.keys())
    a, b = column(one, names), column(other, names)
    return Figure(float((a - b).mean()), *paired_interval(a, b), len(names), 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--limit", type=int, help="only so many of the reporting photos")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    runtime = Runtime(threads=1)
    segmenter = OnnxSegmenter(embedded_weights("segment", options.weights), runtime)
    enlargers = {scale: embedded(scale, runtime, options.weights) for scale in (2, 4)}
    used = "\n".join([segmenter.version, *(network.version for network in enlargers.values())])
    book = Book(options.out / "superres" / hashlib.sha256(used.encode()).hexdigest()[:12])
    measure(book, chosen(options.masks, options.limit), segmenter, enlargers)
    sys.stdout.write("\n".join(table(book)) + "\n")


def chosen(masks: Path, limit: int | None) -> list[Labelled]:
    """Reporting photos, evenly from all of them. ValueError when there is none."""
    names = thinned(sorted(split_names(masks, "report")), limit)
    if not names:
        raise ValueError(f"no reporting photos in {masks}")
    return list(labelled(masks, frozenset(names)))


def thinned(names: Sequence[str], limit: int | None) -> Collection[str]:
    if limit is None or limit >= len(names):
        return names
    return [names[place * len(names) // limit] for place in range(limit)]


if __name__ == "__main__":
    main()
