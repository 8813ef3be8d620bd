"""Which development photos the student learns from, and which only judge it.

ROOT has `general/FOLDER/*.jpg`, `hashtags/{photos,posts.jsonl}` and `tagged/photos`. Never learned
from: the folders of `withheld.txt` (every tenth of `general` by name: a domain that the network has
not seen), the photos of `general` that judge the embedding, and every fifth author of `hashtags`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WITHHELD = Path(__file__).parent / "withheld.txt"
CLASSES_EVERY = 3  # every third folder of `general` judges the embedding
GALLERY, QUERIES = 5, 20  # photos of such a folder: those that are known, those that ask
AUTHORS_EVERY = 5
SHARES = {"general": 0.5, "hashtags": 0.28, "tagged": 0.22}  # of any prefix of the list


@dataclass(frozen=True, slots=True)
class Photo:
    name: str  # SET/…, without its suffix
    path: Path


def folders(root: Path) -> list[str]:
    """Of `general`, by name."""
    return sorted(path.name for path in (root / "general").iterdir() if path.is_dir())


def withheld() -> frozenset[str]:
    return frozenset(WITHHELD.read_text().split())


def judges(root: Path) -> list[tuple[str, list[Path], list[Path]]]:
    """Folder, gallery, queries: the protocol of the 1-NN figure, the same every time."""
    found = []
    for number, folder in enumerate(folders(root)[::CLASSES_EVERY]):
        paths = sorted((root / "general" / folder).glob("*.jpg"))
        order = np.random.default_rng((0, number)).permutation(len(paths))
        picked = [paths[place] for place in order]
        found.append((folder, picked[:GALLERY], picked[GALLERY : GALLERY + QUERIES]))
    return found


def judging_author(author: str) -> bool:
    return zlib.crc32(author.encode()) % AUTHORS_EVERY == 0


def hashtag_posts(root: Path) -> list[dict[str, str]]:
    lines = (root / "hashtags" / "posts.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def sets(root: Path) -> dict[str, list[Photo]]:
    """What may be learned from, by set, each in an order of its own that is always the same."""
    apart = withheld()
    judging = {path for _, gallery, queries in judges(root) for path in gallery + queries}
    general = [
        Photo(f"general/{folder}/{path.stem}", path)
        for folder in folders(root)
        if folder not in apart
        for path in sorted((root / "general" / folder).glob("*.jpg"))
        if path not in judging
    ]
    hashtags = [
        Photo(f"hashtags/{post['id']}", root / "hashtags" / "photos" / f"{post['id']}.jpg")
        for post in hashtag_posts(root)
        if not judging_author(post["author"])
    ]
    street = sorted((root / "tagged" / "photos").glob("*.jpg"))
    tagged = [Photo(f"tagged/{path.stem}", path) for path in street]
    named = {"general": general, "hashtags": hashtags, "tagged": tagged}
    return {name: _mixed(photos) for name, photos in named.items()}


def learning(root: Path) -> list[Photo]:
    """All of `sets` in one list, so that whatever part of it comes first is a balanced set."""
    ranked = [
        ((place + 0.5) / SHARES[name], photo)
        for name, photos in sets(root).items()
        for place, photo in enumerate(photos)
    ]
    return [photo for _, photo in sorted(ranked, key=lambda pair: (pair[0], pair[1].name))]


def _mixed(photos: list[Photo]) -> list[Photo]:
    order = np.random.default_rng(0).permutation(len(photos))
    return [photos[place] for place in order]
