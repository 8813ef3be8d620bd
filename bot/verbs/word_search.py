"""Search by words in the images themselves, fused with the text index by ranks.

Whoever wrote nothing about a photo is found by what is seen in it: by vectors of words that were
learned from the stream, or by an official network of images and texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from bot.core.clock import utc_now
from bot.core.errors import ModelError, NotInstalled, UsageError
from bot.schema.problems import did_you_mean
from bot.service.app import App, ServingStages, networks_of
from models.base import WeightsError
from models.serving.catalogue import names
from models.serving.embed import TextAndImages
from models.serving.network_process import NetworkFailed
from models.words import kept
from models.words.fusion import Fused, fused
from models.words.kept import LearnedWords
from storage import labels, search
from storage.search import Filters, Term
from storage.tables import Control

TEXT, EMBEDDED = "text", "embedded"
SEEN = "seen"  # the list of images, beside TEXT
POOL = 200  # places of each list that are fused
BATCH = 5000  # vectors in memory at once
ABOVE = 0.75  # deviations above the mean of all images, from which an image is meant
NOT_LEARNED = "search:not-learned"  # in `controls`: that it was said

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SeenImage:
    sha256: str
    score: float  # of its own search: deviations above the mean of all images


@dataclass(slots=True)
class WordHits:
    """Posts in the order of the fused ranks."""

    found: list[Fused[int]]
    images: dict[int, str] = field(default_factory=dict)  # post → the image that is meant
    scores: dict[int, float] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)  # of the query, that images are searched by

    def why(self, post: Fused[int]) -> dict[str, Any]:
        """Why a post stands where it does: its place in each list, from 1."""
        return {
            "text_rank": post.ranks.get(TEXT),
            "seen_rank": post.ranks.get(SEEN),
            "seen_score": self.scores.get(post.thing),
            "words": self.words,
        }


class WordEye(Protocol):
    """Scores images by words."""

    def known(self, words: Sequence[str]) -> list[str]:
        """Those of these words that it can look for."""

    def scores(self, app: App, words: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
        """SHA-256 and scores of stored images, some at once."""


def ways() -> tuple[str, ...]:
    """By what can be searched."""
    return (EMBEDDED, TEXT, *names("embedder"))


def eye_of(app: App, by: str) -> WordEye | None:
    """None without learned words, or for the text index alone. Raises UsageError, ModelError."""
    if by not in ways():
        known = ", ".join(ways())
        raise UsageError(f"--by: no {by!r}{did_you_mean(by, ways())}; there are {known}")
    if by == TEXT:
        return None
    if by != EMBEDDED:
        return OfficialEye(ServingStages(app.settings).embedder(by))
    try:
        learned = kept.load(networks_of(app.settings))
    except WeightsError as error:
        raise ModelError(str(error)) from error
    return LearnedEye(learned) if learned is not None else None


def by_words(
    session: Session, app: App, eye: WordEye, terms: Sequence[Term], filters: Filters
) -> WordHits | None:
    """The text index and the images, fused; None if no word of the query can be looked for.

    Phrases, hashtags, beginnings and what is left out narrow both lists.
    """
    plain = [term for term in terms if _plain(term)]
    words = eye.known([term.tokens[0] for term in plain])
    if not words:
        return None
    narrow = [term for term in terms if not _plain(term)]
    ranked = _best(app, eye, words)
    held = search.images(session, filters, hashes=[one.sha256 for one in ranked])
    passed = search.matching(session, sorted({post for post, _ in held}), narrow, filters)
    hits = WordHits([], words=words)
    score = {one.sha256: one.score for one in ranked}
    by_hash: dict[str, int] = {}
    for post, sha256 in held:  # of several posts with the same image, the one stored last
        if post in passed:
            by_hash[sha256] = max(post, by_hash.get(sha256, 0))
    seen: list[int] = []
    for sha256, holder in ((one.sha256, by_hash.get(one.sha256)) for one in ranked):
        if holder is not None and holder not in hits.images:
            hits.images[holder], hits.scores[holder] = sha256, round(score[sha256], 3)
            seen.append(holder)
    written = search.posts(session, terms, filters, POOL, relevance=True)
    hits.found = fused({TEXT: [hit.post for hit in written], SEEN: seen})
    return hits


def say_once(session: Session) -> str:
    """What is missing, the first time that it is asked for; else nothing."""
    if session.get(Control, NOT_LEARNED) is not None:
        return ""
    session.add(Control(key=NOT_LEARNED, value="said", changed=utc_now()))
    return (
        "only texts are searched: `tagecho search --rebuild` learns which images the words of the "
        "stream speak of"
    )


def _plain(term: Term) -> bool:
    return (
        len(term.tokens) == 1
        and not term.prefix
        and not term.without
        and not term.tokens[0].startswith("#")
    )


def _best(app: App, eye: WordEye, words: Sequence[str]) -> list[SeenImage]:
    """The images that the words mean more than most, best first."""
    found_names: list[str] = []
    parts: list[Vectors] = []
    for some, scores in eye.scores(app, words):
        found_names += some
        parts.append(scores)
    if not found_names:
        return []
    scores = np.concatenate(parts).astype(np.float64)
    above = (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    order = np.argsort(-above, kind="stable")[:POOL]
    return [SeenImage(found_names[i], float(above[i])) for i in order if above[i] > ABOVE]


@dataclass(frozen=True, slots=True)
class LearnedEye:
    """By the words that were learned from the stream."""

    learned: LearnedWords

    def known(self, words: Sequence[str]) -> list[str]:
        return self.learned.text.known(words)

    def scores(self, app: App, words: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
        query = self.learned.text(words)
        if query is None:
            return
        with app.database.read() as session:
            here = labels.embedded_names(session, self.learned.model)
            both = sorted(here & labels.embedded_names(session, self.learned.outline))
        for start in range(0, len(both), BATCH):
            some = both[start : start + BATCH]
            with app.database.read() as session:
                seen = labels.vectors_of(session, self.learned.model, some)
                outlined = labels.vectors_of(session, self.learned.outline, some)
            known = [name for name in some if name in seen and name in outlined]
            if known:
                features = self.learned.sight(_stacked(seen, known), _stacked(outlined, known))
                yield known, self.learned.text.scores(query, features)


@dataclass(frozen=True, slots=True)
class OfficialEye:
    """By an official network of images and texts."""

    network: TextAndImages

    def known(self, words: Sequence[str]) -> list[str]:
        return list(words)

    def scores(self, app: App, words: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
        try:
            query = self.network.text(" ".join(words))
        except NetworkFailed as error:
            raise failed(self.network.name, error) from error
        finally:
            self.network.stop()
        with app.database.read() as session:
            here = sorted(labels.embedded_names(session, self.network.version))
        if not here:
            raise ModelError(
                f"no image has a vector of {self.network.name}: "
                f"tagecho search --rebuild --by {self.network.name}"
            )
        for start in range(0, len(here), BATCH):
            with app.database.read() as session:
                seen = labels.vectors_of(session, self.network.version, here[start : start + BATCH])
            known = list(seen)
            if known:
                yield known, _stacked(seen, known) @ query


def failed(name: str, error: NetworkFailed) -> ModelError | NotInstalled:
    """As the command line says it."""
    if error.needs_package:
        return NotInstalled(f"{name} needs tagecho[official]: {error.detail}")
    return ModelError(f"{name}: {error}")


def _stacked(found: dict[str, bytes], known: Sequence[str]) -> Vectors:
    return np.stack([np.frombuffer(found[name], "<f4") for name in known])
