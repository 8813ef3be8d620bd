"""Learn the words of a stream, and measure them on people whom they never saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from models.labels.evidence import grouped
from models.labels.probe import FOLDS, folded
from models.metrics.bootstrap import interval, paired_interval
from models.metrics.ranking import average_precision
from models.words import tagger as tags_of
from models.words import textvectors
from models.words.features import Sight
from models.words.fusion import fused
from models.words.kept import LearnedWords
from models.words.ridge import Matrix, Vectors
from models.words.tagger import Groups, Tagger, Unseen

AT = 10  # of recall
QUERIES = 500  # drawn, at most
SILENT = 0.5  # share of the held-out posts that the text index knows nothing of
LONGEST = 3  # words of a query
POOL = 100  # places of each list that are fused


@dataclass(frozen=True, slots=True, eq=False)
class SpokenPosts:
    """N posts: what is seen of each, its hashtags, its words, its author."""

    embeddings: Vectors  # (N, D)
    outlines: Vectors  # (N, S)
    hashtags: Sequence[Collection[str]]
    words: Sequence[Collection[str]]  # of caption, hashtags and sentences
    authors: Sequence[str]


@dataclass(slots=True)
class TagFigures:
    """Of tags on posts of people who taught nothing. `frequent`: the tags by frequency alone."""

    posts: int
    people: int
    tags: int
    map: float  # mean over posts of the average precision of their hashtags
    map_low: float
    map_high: float
    map_frequent: float
    gain_low: float  # 95 % interval of the difference, over posts
    gain_high: float
    map_by_tag: float  # mean over tags of the average precision of their posts
    map_by_tag_frequent: float
    calibration_error: float  # mean distance of probability and share, over ten bins


@dataclass(slots=True)
class SearchFigures:
    """recall@10 of held-out captions; half of these posts have no text that could be searched."""

    queries: int
    images: float  # that are searched, on average
    text: float  # the text index alone
    learned: float  # the vectors alone
    fused: float
    gain_low: float  # 95 % interval of fused minus text, over queries
    gain_high: float


@dataclass(slots=True)
class WordFigures:
    tags: TagFigures | None = None
    search: SearchFigures | None = None
    vocabulary: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Versions:
    """Of what the lessons were seen with, and what they are."""

    model: str
    outline: str
    taught: str = field(default="")


def learn_words(lessons: SpokenPosts, versions: Versions) -> LearnedWords:
    """Deterministic. ValueError for too few posts, or if no word is frequent enough."""
    sight = Sight.fit(lessons.embeddings, lessons.outlines)
    features = sight(lessons.embeddings, lessons.outlines)
    groups = grouped(lessons.embeddings, lessons.authors)
    words = tags_of.teachable(lessons.words, groups, textvectors.LEAST, textvectors.MOST, share=0.9)
    if not words:
        raise ValueError("no word is on enough posts of enough people")
    said = tags_of.carried(lessons.words, words)
    spoke = np.diff(said.indptr) > 0  # whoever says nothing denies nothing
    found = WordFigures(vocabulary=len(words))
    found.search = search_figures(features[spoke], said[spoke], words, groups[spoke])
    tagger, found.tags = _tagger(features, lessons, groups)
    text = textvectors.teach(features[spoke], said[spoke], words)
    return LearnedWords(
        sight,
        tagger,
        text,
        versions.model,
        versions.outline,
        versions.taught,
        found.as_dict(),
    )


def _tagger(
    features: Vectors, lessons: SpokenPosts, groups: Groups
) -> tuple[Tagger | None, TagFigures | None]:
    tags = tags_of.teachable(lessons.hashtags, groups)
    if not tags:
        return None, None
    wanted = tags_of.carried(lessons.hashtags, tags).toarray()
    spoke = wanted.any(axis=1)
    features, wanted, people = features[spoke], wanted[spoke], groups[spoke]
    unseen = tags_of.held_out(features, wanted, people)
    made = tags_of.teach(features, wanted, tags, unseen)
    return made, tag_figures(unseen, wanted, people, made)


def tag_figures(unseen: Unseen, wanted: Matrix, groups: Groups, made: Tagger) -> TagFigures:
    """`wanted`: of posts that have at least one tag."""
    rows = range(len(wanted))
    chance = made.calibration(unseen.evidence, unseen.shares)
    ours = np.array([average_precision(chance[row], wanted[row] > 0) for row in rows])
    theirs = np.array([average_precision(unseen.shares[row], wanted[row] > 0) for row in rows])
    low, high = interval(ours)
    gain_low, gain_high = paired_interval(ours, theirs)
    by_tag = [
        average_precision(chance[:, tag], wanted[:, tag] > 0) for tag in range(wanted.shape[1])
    ]
    return TagFigures(
        posts=len(rows),
        people=len(np.unique(groups)),
        tags=wanted.shape[1],
        map=_figure(ours.mean()),
        map_low=_figure(low),
        map_high=_figure(high),
        map_frequent=_figure(theirs.mean()),
        gain_low=_figure(gain_low),
        gain_high=_figure(gain_high),
        map_by_tag=_figure(np.mean(by_tag)),
        map_by_tag_frequent=_figure(wanted.mean()),
        calibration_error=_figure(calibration_error(chance, wanted)),
    )


def calibration_error(chance: Matrix, wanted: Matrix, bins: int = 10) -> float:
    """The mean distance between the probability and the share that has the tag, over bins."""
    place = np.minimum((chance.ravel() * bins).astype(int), bins - 1)
    flat, has = chance.ravel(), wanted.ravel()
    total = 0.0
    for number in np.unique(place):
        here = place == number
        total += here.mean() * abs(flat[here].mean() - has[here].mean())
    return float(total)


def search_figures(
    features: Vectors, said: sparse.csr_array, words: Sequence[str], groups: Groups, seed: int = 0
) -> SearchFigures | None:
    """Queries of at most three words of held-out posts, among the images of held-out people.

    The images that are right are those whose post has all the words. The text index finds them,
    newest first, unless their post is silent; the vectors rank all images. None without queries.
    """
    random = np.random.default_rng(seed)
    fold = folded(groups, FOLDS)
    rows: list[tuple[float, float, float]] = []
    sizes: list[int] = []
    for number in np.unique(fold):
        asked, known = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        told = np.asarray(said[known].sum(axis=0)).ravel() >= textvectors.LEAST
        if len(asked) <= AT or not told.any():
            continue
        names = [word for word, here in zip(words, told, strict=True) if here]
        columns = np.flatnonzero(told)
        text = textvectors.teach(features[known], said[known][:, columns], names)
        here = said[asked][:, columns].toarray() > 0
        silent = random.random(len(asked)) < SILENT
        sizes.append(len(asked))
        for row in random.permutation(asked.size)[: QUERIES // FOLDS]:
            mine = np.flatnonzero(here[row])
            if not mine.size:
                continue
            query = random.permutation(mine)[:LONGEST]
            right = here[:, query].all(axis=1)
            vector = text([names[word] for word in query])
            assert vector is not None  # noqa: S101 - every word of it has a vector
            ranked = np.argsort(-text.scores(vector, features[asked]), kind="stable")[:POOL]
            by_text = np.flatnonzero(right & ~silent)[:POOL]
            both = [
                one.thing for one in fused({"text": by_text.tolist(), "learned": ranked.tolist()})
            ]
            most = min(AT, int(right.sum()))
            rows.append(
                (
                    right[by_text[:AT]].sum() / most,
                    right[ranked[:AT]].sum() / most,
                    right[both[:AT]].sum() / most,
                )
            )
    if not rows:
        return None
    found = np.array(rows)
    low, high = paired_interval(found[:, 2], found[:, 0])
    text_alone, learned, together = (_figure(value) for value in found.mean(axis=0))
    images = _figure(np.mean(sizes))
    return SearchFigures(
        len(rows), images, text_alone, learned, together, _figure(low), _figure(high)
    )


def _figure(value: Any) -> float:
    return round(float(value), 4)
