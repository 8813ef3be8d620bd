"""Photos with masks, and harder images made from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.base import Image, Mask


@dataclass(frozen=True, slots=True)
class Labelled:
    name: str
    image: Image
    mask: Mask


def labelled(folder: Path, names: frozenset[str] | None = None) -> Iterator[Labelled]:
    """`photos/ID.jpg` with `labels/ID.png` (0: background), sorted; only `names` if given."""
    for path in sorted((folder / "labels").glob("*.png")):
        if names is None or path.stem in names:
            with Pil.open(folder / "photos" / f"{path.stem}.jpg") as photo, Pil.open(path) as label:
                yield Labelled(path.stem, np.asarray(photo.convert("RGB")), np.asarray(label) > 0)


def push_to_border(item: Labelled, side: str) -> Labelled | None:
    """A crop with the middle of the object at a border: half of it is outside the image.

    `side`: left, right, top or bottom. None if too little would be left.
    """
    ys, xs = np.nonzero(item.mask)
    if xs.size == 0:
        return None
    middle_x, middle_y = int(np.median(xs)), int(np.median(ys))
    everything = slice(None)
    cuts = {
        "left": (everything, slice(middle_x, None)),
        "right": (everything, slice(None, middle_x + 1)),
        "top": (slice(middle_y, None), everything),
        "bottom": (slice(None, middle_y + 1), everything),
    }
    rows, columns = cuts[side]
    image, mask = item.image[rows, columns], item.mask[rows, columns]
    if min(image.shape[:2]) < 48 or mask.mean() < 0.02:
        return None
    return Labelled(f"{item.name}-{side}", np.ascontiguousarray(image), mask)


def canvas(item: Labelled, rng: np.random.Generator) -> Labelled:
    """The photo in a corner of a canvas twice as wide or tall, of its own border colour."""
    height, width = item.mask.shape
    edge = np.concatenate([item.image[:, 0], item.image[:, -1]])
    tall, wide = (2 * height, width) if rng.random() < 0.5 else (height, 2 * width)
    top, left = (tall - height) * int(rng.integers(2)), (wide - width) * int(rng.integers(2))
    image = np.empty((tall, wide, 3), np.uint8)
    image[:] = np.median(edge, axis=0)
    mask = np.zeros((tall, wide), bool)
    image[top : top + height, left : left + width] = item.image
    mask[top : top + height, left : left + width] = item.mask
    return Labelled(f"{item.name}-canvas", image, mask)


def background(item: Labelled) -> Labelled | None:
    """The widest part left or right of the object: an image without an object."""
    columns = np.flatnonzero(item.mask.any(0))
    if columns.size == 0:
        return None
    left, right = item.image[:, : columns[0]], item.image[:, columns[-1] + 1 :]
    widest = left if left.shape[1] >= right.shape[1] else right
    if widest.shape[1] < 64:
        return None
    height = min(widest.shape[0], 2 * widest.shape[1])
    image = np.ascontiguousarray(widest[-height:])
    return Labelled(f"{item.name}-background", image, np.zeros(image.shape[:2], bool))
