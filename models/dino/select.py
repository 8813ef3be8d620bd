"""Which checkpoint is best: by what its features know, never by the loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.base import Image
from models.dino.crops import load_photos
from models.dino.ncut import last_keys, ncut_mask
from models.dino.vit import ViT
from models.metrics.knn import knn_accuracy
from models.metrics.labelled import Labelled, labelled
from models.metrics.masks import iou
from models.training.augment import to_batch
from models.training.loop import photo_paths

DROPPED = {"notsure", "other", "skip"}  # tags that say nothing

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tagged:
    id: str
    author: str
    hashtag: str


def read_posts(path: Path) -> list[Tagged]:
    """Rows of `id`, `author`, `hashtag`, without the tags that say nothing. ValueError."""
    posts = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        try:
            row = json.loads(line)
            posts.append(Tagged(str(row["id"]), str(row["author"]), str(row["hashtag"])))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number}: no post with id, author and hashtag") from error
    return [post for post in posts if post.hashtag not in DROPPED]


def held_out(author: str) -> bool:
    """One author in five, for good: whose images a learning service does not train on."""
    return hashlib.sha256(author.encode()).digest()[0] % 5 == 0


@torch.no_grad()
def embed(vit: ViT, images: list[Image], side: int = 96, batch: int = 64) -> Features:
    """(N, width) L2-normalised class tokens of pictures squeezed to side × side."""
    rows = []
    for start in range(0, len(images), batch):
        squares = [_square(image, side) for image in images[start : start + batch]]
        tokens = vit(torch.from_numpy(to_batch(squares)).to(vit.cls.device))[:, 0]
        rows.append(torch.nn.functional.normalize(tokens, dim=-1).cpu().numpy())
    return np.concatenate(rows)


def ncut_iou(vit: ViT, items: Iterable[Labelled], side: int = 224) -> float:
    """Mean IoU of TokenCut's masks, from the last layer's keys of pictures squeezed to a square."""
    cells = side // vit.shape.patch
    values = []
    for item in items:
        square = to_batch([_square(item.image, cells * vit.shape.patch)])
        keys = last_keys(vit, torch.from_numpy(square).to(vit.cls.device))[0].cpu().numpy()
        mask = ncut_mask(keys, cells, cells).astype(np.uint8)
        size = item.mask.shape[::-1]
        whole = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0
        values.append(iou(whole, item.mask))
    return float(np.mean(values))


@dataclass(frozen=True, slots=True)
class Selection:
    """A small set of photos that decides. One of the two kinds may be missing."""

    photos: list[Image] = field(default_factory=list)
    posts: list[Tagged] = field(default_factory=list)
    items: list[Labelled] = field(default_factory=list)
    side: int = 96  # px the photos are squeezed to for kNN

    def __post_init__(self) -> None:
        if not self.posts and not self.items:
            raise ValueError("nothing to select by")

    def measure(self, vit: ViT) -> dict[str, float]:
        """`knn` and `ncut`, where there is something to measure them on, and `score`, their mean.

        kNN: each photo by its nearest of other authors.
        """
        figures = {}
        if self.posts:
            authors = sorted({post.author for post in self.posts})
            groups = np.array([authors.index(post.author) for post in self.posts])
            hashtags = [{post.hashtag} for post in self.posts]
            figures["knn"] = knn_accuracy(embed(vit, self.photos, self.side), hashtags, groups)
        if self.items:
            figures["ncut"] = ncut_iou(vit, self.items)
        return figures | {"score": sum(figures.values()) / len(figures)}


def read_selection(
    posts: Path | None,
    masks: Path | None,
    ids: Path | None,
    *,
    limit: int,
    side: int,
    unseen: bool = False,
) -> Selection | None:
    """None when nothing was named. ValueError for a set without a photo.

    Photos of `posts` lie below its folder as ID.jpg; `limit` of them are taken, the same ones each
    time. `masks` holds photos/ID.jpg and labels/ID.png; `ids` names those to use, else all.
    `unseen`: of the posts, only those of authors that are held out.
    """
    chosen: list[Tagged] = []
    photos: list[Image] = []
    if posts is not None:
        paths = {path.stem: path for path in photo_paths([posts.parent])}
        known = [post for post in read_posts(posts) if post.id in paths]
        known = [post for post in known if held_out(post.author)] if unseen else known
        chosen = sorted(known, key=lambda post: hashlib.sha256(post.id.encode()).digest())[:limit]
        if not chosen:
            raise ValueError(f"{posts}: none of its photos lies below {posts.parent}")
        photos = load_photos(paths[post.id] for post in chosen)
    items: list[Labelled] = []
    if masks is not None:
        names = None if ids is None else frozenset(ids.read_text(encoding="utf-8-sig").split())
        items = list(labelled(masks, names))
        if not items:
            raise ValueError(f"{masks}: no photos with labels" + (f" of {ids}" if ids else ""))
    return Selection(photos, chosen, items, side) if chosen or items else None


def _square(image: Image, side: int) -> Image:
    square: Image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return square
