"""What a backbone's features know: kNN accuracy on hashtags, folds split by author.

python -m models.dino.evaluate --photos DIR --posts posts.jsonl [--checkpoint runs/dino/last.pt]

Without a checkpoint, the figure of an untrained ViT is printed: the one to beat.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.augment import to_batch
from models.base import Image
from models.dino.train import load_photos
from models.dino.vit import ViT
from models.training import read_checkpoint

DROPPED = {"notsure", "other", "skip"}  # tags that say nothing

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tagged:
    id: str
    author: str
    hashtag: str


def read_posts(path: Path) -> list[Tagged]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    posts = [Tagged(r["id"], r["author"], r["hashtag"]) for r in rows]
    return [post for post in posts if post.hashtag not in DROPPED]


def held_out(author: str) -> bool:
    """One author in five, for good."""
    return hashlib.sha256(author.encode()).digest()[0] % 5 == 0


@torch.no_grad()
def embed(vit: ViT, images: list[Image], side: int = 96, batch: int = 64) -> Features:
    """(N, width) L2-normalised class tokens of pictures squeezed to side × side."""
    vit = vit.eval()
    rows = []
    for start in range(0, len(images), batch):
        squares = [
            cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            for image in images[start : start + batch]
        ]
        tokens = vit(torch.from_numpy(to_batch(squares)))[:, 0]
        rows.append(torch.nn.functional.normalize(tokens, dim=-1).numpy())
    return np.concatenate(rows)


def knn_accuracy(
    known: Features, tags: Sequence[str], asked: Features, wanted: Sequence[str], k: int = 20
) -> float:
    """Share of `asked` whose tag wins a vote of its k nearest, weighted by similarity."""
    names = sorted(set(tags))
    numbers = np.array([names.index(tag) for tag in tags])
    right = 0
    for feature, tag in zip(asked, wanted, strict=True):
        similarity = known @ feature
        nearest = np.argpartition(-similarity, min(k, len(tags) - 1))[:k]
        votes = np.bincount(
            numbers[nearest], weights=np.exp(similarity[nearest] / 0.07), minlength=len(names)
        )
        right += names[int(votes.argmax())] == tag
    return right / len(wanted)


def load_teacher(checkpoint: Path) -> ViT:
    """The teacher's ViT of a DINO checkpoint."""
    state = read_checkpoint(checkpoint)["parts"]["teacher"]
    vit = ViT()
    vit.load_state_dict({k[4:]: v for k, v in state.items() if k.startswith("vit.")})
    return vit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    posts = read_posts(arguments.posts)
    images = load_photos(arguments.photos / f"{post.id}.jpg" for post in posts)
    vit = load_teacher(arguments.checkpoint) if arguments.checkpoint else ViT()
    features = embed(vit, images)
    asked = np.array([held_out(post.author) for post in posts])
    tags = [post.hashtag for post in posts]
    known_tags = [tag for tag, out in zip(tags, asked, strict=True) if not out]
    wanted = [tag for tag, out in zip(tags, asked, strict=True) if out]
    accuracy = knn_accuracy(features[~asked], known_tags, features[asked], wanted)
    commonest = max(known_tags.count(tag) for tag in set(known_tags)) / len(known_tags)
    sys.stdout.write(
        f"kNN accuracy {accuracy:.3f} on {len(wanted)} photos of held-out authors "
        f"(commonest hashtag: {commonest:.3f})\n"
    )


if __name__ == "__main__":
    main()
