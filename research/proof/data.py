"""Which photos each arm may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from models.base import Image
from models.training.loop import photo_paths
from research.proof.pseudo_masks import repeats

SHORT_SIDE = 96  # photos are kept at this size; crops are at most 96 px
SAYS_NOTHING = frozenset({"notsure", "other", "skip"})


@dataclass(frozen=True, slots=True)
class Folders:
    masks: Path  # photos/ID.jpg and labels/ID.png
    hashtags: Path  # photos/ID.jpg and posts.jsonl
    tagged: Path  # likewise
    general: Path  # photos in subfolders


@dataclass(frozen=True, slots=True)
class Photo:
    path: Path
    tags: tuple[str, ...]  # as the posts have them, right or wrong


def collected(folder: Path) -> list[Photo]:
    """The photos of a folder with `posts.jsonl` (id; hashtag or hashtags), sorted by id."""
    rows = [
        json.loads(line)
        for line in (folder / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    photos = []
    for row in sorted(rows, key=lambda row: str(row["id"])):
        tags = row.get("hashtags") or [row["hashtag"]]
        path = folder / "photos" / f"{row['id']}.jpg"
        photos.append(Photo(path, tuple(tag for tag in tags if tag not in SAYS_NOTHING)))
    return photos


def known_shots(folders: Folders) -> frozenset[str]:
    """Stems of tagged photos that repeat a shot of the masks: they are not used anywhere."""
    tagged = [photo.path for photo in collected(folders.tagged)]
    return frozenset(repeats(tagged, photo_paths([folders.masks / "photos"])))


def arm_photos(arm: str, folders: Folders, known: frozenset[str], size: int) -> list[Photo]:
    """What the backbone of an arm learns from: `size` of them, the same each time; 0: all.

    tags, dino: hashtags and tagged. dino-tagged: tagged. dino-general: as many unrelated photos as
    the other two have. ValueError for another arm.
    """
    tagged = [photo for photo in collected(folders.tagged) if photo.path.stem not in known]
    if arm == "dino-tagged":
        return some(tagged, size)
    both = tagged + collected(folders.hashtags)
    if arm == "dino":
        return some(both, size)
    if arm == "tags":
        return some([photo for photo in both if photo.tags], size)
    if arm == "dino-general":
        unrelated = [Photo(path, ()) for path in photo_paths([folders.general])]
        return some(unrelated, min(size or len(both), len(both)))
    raise ValueError(f"no photos for the arm {arm}")


def some(photos: Sequence[Photo], size: int) -> list[Photo]:
    order = np.random.default_rng(0).permutation(len(photos))
    return [photos[place] for place in sorted(order[: size or len(photos)])]


def load(photos: Sequence[Photo]) -> list[Image]:
    """RGB with a short side of at most 96 px."""
    images = []
    for photo in photos:
        with Pil.open(photo.path) as opened:
            opened.draft("RGB", (2 * SHORT_SIDE, 2 * SHORT_SIDE))
            rgb = opened.convert("RGB")
        factor = min(1.0, SHORT_SIDE / min(rgb.size))
        size = (round(rgb.width * factor), round(rgb.height * factor))
        images.append(np.asarray(rgb.resize(size, Pil.Resampling.BILINEAR)))
    return images
