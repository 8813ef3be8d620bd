"""Compare two networks on photos of people whose photos neither was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import sparse

from bot.core.errors import ModelError, StorageError
from bot.learn.photos import Layout
from bot.learn.replies_first import Say, Turn
from bot.learn.telling_hashtags import telling
from models.base import Image, Mask, Segmentation, Segmenter
from models.metrics.knn import neighbours, votes
from models.metrics.labelled import Labelled
from models.metrics.masks import iou
from models.serving.promotion_rule import Evidence, paired
from storage.learning import TrainingPicture

MOST_KNOWN, MOST_ASKED = 2000, 1000  # photos, the newest; more would only take longer
Vectors = NDArray[np.float32]


class Corrected(Protocol):
    """Masks that a person corrected."""

    ids: list[str]

    def read(self, name: str) -> Labelled: ...


@dataclass(frozen=True, slots=True)
class Judges:
    """Masks that both networks are compared with: a person's, and those of known failures."""

    corrected: Corrected | None = None
    failures: Corrected | None = None

    def items(self) -> Iterator[tuple[str, Corrected, str]]:
        """(kind, masks, id)"""
        for kind, masks in (("corrected", self.corrected), ("failures", self.failures)):
            if masks is not None:
                yield from ((kind, masks, name) for name in masks.ids)


def prove(
    new: Segmenter,
    old: Segmenter,
    layout: Layout,
    judges: Judges,
    turn: Turn,
    say: Say,
) -> Evidence:
    """The figures for the decision. Raises ModelError, StorageError."""
    known, asked = layout.train[:MOST_KNOWN], layout.held_out[:MOST_ASKED]
    items = list(judges.items())
    total = len(known) + len(asked) + len(items)
    seen = _Seen(new, old, turn, say, total)
    for picture in known:
        seen.embed(picture, _photo(layout, picture))
    for picture in asked:
        both = seen.embed(picture, _photo(layout, picture))
        if layout.mask(picture).exists():
            seen.compare("teacher", both, _mask(layout, picture))
    for kind, masks, name in items:
        item = masks.read(name)
        seen.compare(kind, seen.both(item.image), item.mask)
    right = [right_ones(vectors, known, asked) for vectors in seen.vectors]
    return Evidence(
        knn=paired(*right), agreement=paired(*seen.ious["teacher"]),
        corrected=paired(*seen.ious["corrected"]), failures=paired(*seen.ious["failures"]),
    )  # fmt: skip


class _Seen:
    """The results of both networks so far; in each pair the new network comes first."""

    def __init__(self, new: Segmenter, old: Segmenter, turn: Turn, say: Say, total: int) -> None:
        self._networks, self._turn, self._say, self._total = (new, old), turn, say, total
        self._done = 0
        self.vectors: tuple[dict[str, Vectors], dict[str, Vectors]] = ({}, {})
        self.ious: dict[str, tuple[list[float], list[float]]] = {
            "teacher": ([], []),
            "corrected": ([], []),
            "failures": ([], []),
        }

    def both(self, image: Image) -> list[Segmentation]:
        self._turn.wait()
        found = [network(image) for network in self._networks]
        for one, network in zip(found, self._networks, strict=True):
            if not (np.isfinite(one.embedding).all() and np.isfinite(one.probability).all()):
                raise ModelError(f"{network.version} returns values that are not finite")
        self._done += 1
        if self._done % 100 == 0 or self._done == self._total:
            self._say(f"{self._done}/{self._total} photos")
        return found

    def embed(self, picture: TrainingPicture, image: Image) -> list[Segmentation]:
        found = self.both(image)
        for vectors, one in zip(self.vectors, found, strict=True):
            vectors[picture.sha256] = one.embedding
        return found

    def compare(self, what: str, found: list[Segmentation], wanted: Mask) -> None:
        for values, one in zip(self.ious[what], found, strict=True):
            values.append(iou(one.mask, wanted))


def right_ones(
    vectors: dict[str, Vectors], known: Sequence[TrainingPicture], asked: Sequence[TrainingPicture]
) -> list[float]:
    """1 or 0 per post of `asked`: do its 20 nearest posts of `known` vote for one of its hashtags?
    A post is the mean of its images. Only hashtags that tell the known posts apart count, and posts
    that have one of these."""
    train, train_tags = _posts(vectors, known)
    test, test_tags = _posts(vectors, asked)
    names = sorted(telling(train_tags))
    if not names or not len(test):
        return []
    tags = np.array([[n in own for n in names] for own in train_tags + test_tags], np.float64)
    groups = np.array([0] * len(train) + [1] * len(test), np.intp)  # the known posts only vote
    won = votes(neighbours(np.concatenate([train, test]), groups), sparse.csr_array(tags))
    ballots = won.toarray()[len(train) :]
    wanted = tags[len(train) :]
    chosen = wanted[np.arange(len(test)), ballots.argmax(axis=1)]
    return [float(right) for right, own in zip(chosen, wanted, strict=True) if own.any()]


def _posts(
    vectors: dict[str, Vectors], pictures: Sequence[TrainingPicture]
) -> tuple[Vectors, list[tuple[str, ...]]]:
    """(P, D) L2-normalised means, and hashtags."""
    found: dict[int, list[Vectors]] = {}
    tags: dict[int, tuple[str, ...]] = {}
    for picture in pictures:
        found.setdefault(picture.post, []).append(vectors[picture.sha256])
        tags[picture.post] = picture.hashtags
    if not found:
        return np.zeros((0, 1), np.float32), []
    means = np.stack([np.mean(each, axis=0) for each in found.values()])
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return (means / np.maximum(norms, 1e-12)).astype(np.float32), list(tags.values())


def _photo(layout: Layout, picture: TrainingPicture) -> Image:
    return _reading(lambda: np.asarray(PIL.Image.open(layout.photo(picture)).convert("RGB")))


def _mask(layout: Layout, picture: TrainingPicture) -> Mask:
    mask: Mask = _reading(lambda: np.asarray(PIL.Image.open(layout.mask(picture)))) > 127
    return mask


def _reading(read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    try:
        return read()
    except OSError as error:
        raise StorageError(f"a photo of this run cannot be read: {error}") from error
