"""Which of the asked classes an image's post speaks of: its words, else those of images like it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from bot.core.normal_form import hashtag
from models.base import Embedding
from storage import labels
from storage.curation import METHOD
from storage.tables import LabelScore, MediaRow, MediaState, PostHashtag, PostRow

SAID = 0.6  # the score of a class that the caption names, or a hashtag that was never judged
NEAREST = 10  # images that are asked where the post names no class
MOST = 5000  # images with a class that are compared
CHUNK = 500
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Images whose posts name a class: their vectors, and which."""

    vectors: NDArray[np.float32]  # (n, D) unit vectors
    carries: NDArray[np.bool_]  # (n, classes)

    def shares(self, embedding: Embedding) -> NDArray[np.float64]:
        """(classes,): the share of the nearest images that carry each."""
        cosines = self.vectors @ (embedding / max(float(np.linalg.norm(embedding)), 1e-12))
        nearest = np.argsort(-cosines)[:NEAREST]
        shares: NDArray[np.float64] = self.carries[nearest].mean(axis=0)
        return shares


@dataclass(frozen=True, slots=True)
class ClassEvidence:
    """`said`: the score of each class that the post names, in [0, 1]."""

    classes: tuple[str, ...]
    said: Mapping[str, float] = field(default_factory=dict)
    near: Witnesses | None = None

    def best(self, embedding: Embedding | None) -> tuple[str, float]:
        """A class and its score. What the post says counts before what images like it say."""
        if self.said:
            name = max(self.said, key=lambda one: self.said[one])
            return name, self.said[name]
        if self.near is None or embedding is None or not len(self.near.vectors):
            return self.classes[0], 0.0
        shares = self.near.shares(embedding)
        best = int(shares.argmax())
        return self.classes[best], float(shares[best])


def named(
    classes: Sequence[str], caption: str, tags: Mapping[str, float | None]
) -> dict[str, float]:
    """The classes that a post names, in one or several, with a score each.

    `tags`: hashtags, with how probably each fits where that was judged.
    """
    words = [_singular(word) for word in _WORD.findall(caption.casefold())]
    text = f" {' '.join(words)} "
    found = {}
    for name in classes:
        parts = [_singular(word) for word in _WORD.findall(name.casefold())]
        plain = "".join(parts)
        fits = [
            SAID if fit is None else fit
            for tag, fit in tags.items()
            if _singular(hashtag(tag)) == plain
        ]
        if fits:
            found[name] = max(fits)
        elif parts and f" {' '.join(parts)} " in text:
            found[name] = SAID
    return found


def said_of(
    session: Session, classes: Sequence[str], images: Sequence[str]
) -> dict[str, dict[str, float]]:
    """By the SHA-256 of each image what its posts name; images of silent posts are left out."""
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(images), CHUNK):
        statement = (
            select(MediaRow.sha256, PostRow.id, PostRow.caption)
            .join(PostRow, col(PostRow.id) == col(MediaRow.post))
            .where(
                MediaRow.state == MediaState.STORED,
                col(MediaRow.sha256).in_(images[start : start + CHUNK]),
            )
        )
        rows = [(sha or "", post or 0, caption) for sha, post, caption in session.exec(statement)]
        tags = _tags(session, sorted({post for _, post, _ in rows}))
        for sha256, post, caption in rows:
            for name, score in named(classes, caption, tags.get(post, {})).items():
                known = found.setdefault(sha256, {})
                known[name] = max(score, known.get(name, 0.0))
    return found


def neighbours(
    session: Session,
    classes: Sequence[str],
    said: Mapping[str, Mapping[str, float]],
    version: str,
    least: float,
) -> Witnesses:
    """Of images whose posts name a class, those that have a vector of this network."""
    names = sorted(sha for sha, scores in said.items() if max(scores.values()) >= least)[:MOST]
    vectors = labels.vectors_of(session, version, names)
    if not vectors:
        return Witnesses(np.empty((0, 0), np.float32), np.empty((0, len(classes)), np.bool_))
    table = np.stack([np.frombuffer(vector, "<f4") for vector in vectors.values()])
    lengths = np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    carries = [[said[sha].get(name, 0.0) >= least for name in classes] for sha in vectors]
    return Witnesses((table / lengths).astype(np.float32), np.array(carries, np.bool_))


def _tags(session: Session, posts: Sequence[int]) -> dict[int, dict[str, float | None]]:
    found: dict[int, dict[str, float | None]] = {}
    for row in session.exec(select(PostHashtag).where(col(PostHashtag.post).in_(posts))):
        found.setdefault(row.post, {})[row.hashtag] = None
    scores = select(LabelScore).where(col(LabelScore.post).in_(posts), LabelScore.method == METHOD)
    for score in session.exec(scores):
        if score.hashtag in found.get(score.post, {}):
            found[score.post][score.hashtag] = score.probability
    return found


def _singular(word: str) -> str:
    """English plurals: `shoes` and `shoe` are one class; `dress` stays."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
