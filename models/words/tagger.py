"""Tags for images out of the stream's own hashtags, with calibrated probabilities.

Hashtags are noisy labels: many do not show in the image, and most of what shows is not named. So a
tag is given with a probability, calibrated on people whom the regression had never seen (Platt,
"Probabilistic outputs for support vector machines", 1999): of the images that get a tag with
probability p, a share p has the hashtag.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.labels.probe import FOLDS, folded
from models.words.ridge import Matrix, Regression, Vectors

LEAST = 8  # posts that have a tag, and
PEOPLE = 3  # people who use it: what fewer say teaches nothing
MOST = 256  # tags: the most frequent ones
SHARE = 0.5  # of the posts: a tag on more of them is that of the collection, and tells nothing
RAREST = 1e-4  # a share below counts as this

Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How much what is seen, and how much the frequency of the tag, says of the probability."""

    seen: float
    frequency: float
    offset: float

    def __call__(self, evidence: Matrix, shares: Matrix) -> Matrix:
        """(n, T) evidence and shares, (T,) or (n, T) → probabilities."""
        found: Matrix = expit(self.seen * evidence + self.frequency * prior(shares) + self.offset)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Tagger:
    """Features (n, d) → the probability of each of T tags, (n, T)."""

    tags: tuple[str, ...]
    regression: Regression
    calibration: Calibration

    def __call__(self, features: Vectors) -> Matrix:
        return self.calibration(self.regression(features), self.regression.shares)

    def best(self, features: Vectors, least: float, most: int) -> list[list[tuple[str, float]]]:
        """For each image, at most `most` tags with a probability of at least `least` that are also
        likelier than for any image, best first."""
        found, shares = [], self.regression.shares
        for row in self(features):
            order = np.argsort(-row, kind="stable")[:most]
            kept = [t for t in order if row[t] >= least and row[t] > shares[t]]
            found.append([(self.tags[t], round(float(row[t]), 4)) for t in kept])
        return found

    def arrays(self) -> dict[str, Matrix]:
        """For a file; the names of the tags are not in it."""
        told = self.calibration
        return {
            "tag_mean": self.regression.mean,
            "tag_shares": self.regression.shares,
            "tag_weights": self.regression.weights,
            "tag_calibration": np.array([told.seen, told.frequency, told.offset]),
        }

    @classmethod
    def of(cls, tags: Sequence[str], kept: dict[str, Matrix]) -> Tagger:
        """From `arrays`. Raises KeyError, TypeError."""
        regression = Regression(kept["tag_mean"], kept["tag_shares"], kept["tag_weights"])
        return cls(tuple(tags), regression, Calibration(*map(float, kept["tag_calibration"])))


def teachable(
    hashtags: Sequence[Collection[str]],
    groups: Groups,
    least: int = LEAST,
    most: int = MOST,
    share: float = SHARE,
) -> tuple[str, ...]:
    """The hashtags, or words, that enough posts of enough people have, the most frequent first."""
    posts: dict[str, int] = {}
    people: dict[str, set[int]] = {}
    for tags, group in zip(hashtags, groups, strict=True):
        for tag in set(tags):
            posts[tag] = posts.get(tag, 0) + 1
            people.setdefault(tag, set()).add(int(group))
    kept = [
        tag
        for tag, count in posts.items()
        if least <= count <= share * len(hashtags) and len(people[tag]) >= PEOPLE
    ]
    return tuple(sorted(kept, key=lambda tag: (-posts[tag], tag))[:most])


def carried(hashtags: Sequence[Collection[str]], tags: Sequence[str]) -> sparse.csr_array:
    """(n, T): 1 where the post has the tag."""
    number = {tag: i for i, tag in enumerate(tags)}
    rows = [sorted({number[tag] for tag in some if tag in number}) for some in hashtags]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], np.intp)
    return sparse.csr_array((np.ones(len(columns)), columns, starts), (len(rows), len(tags)))


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """What regressions say of posts of people whom they never saw."""

    evidence: Matrix  # (n, T)
    shares: Matrix  # (n, T) of the tags among the posts that taught them


def held_out(features: Vectors, wanted: Matrix, groups: Groups, folds: int = FOLDS) -> Unseen:
    """Each fold of people is judged by what the others taught."""
    evidence, shares = np.zeros(wanted.shape), np.zeros(wanted.shape)
    fold = folded(groups, folds)
    for number in np.unique(fold):
        asked, known = fold == number, fold != number
        if not known.any():
            continue
        regression = Regression.fit(features[known], wanted[known])
        evidence[asked], shares[asked] = regression(features[asked]), regression.shares
    return Unseen(evidence, shares)


def teach(features: Vectors, wanted: Matrix, tags: Sequence[str], unseen: Unseen) -> Tagger:
    """(n, d) features, (n, T) answers, their T tags → a tagger, calibrated by `unseen`.

    Deterministic.
    """
    return Tagger(tuple(tags), Regression.fit(features, wanted), calibrated(unseen, wanted))


def calibrated(unseen: Unseen, wanted: Matrix) -> Calibration:
    """The weights of the least logistic loss; none of them counts against its own answer."""
    parts = np.stack([unseen.evidence.ravel(), prior(unseen.shares).ravel()])
    sign = np.where(wanted.ravel() > 0, 1.0, -1.0)

    def loss(three: Matrix) -> tuple[float, Matrix]:
        margin = sign * (three[:2] @ parts + three[2])
        pull = -sign * expit(-margin)
        slope = np.append(parts @ pull, pull.sum()) / len(sign)
        return float(np.logaddexp(0, -margin).mean()), slope

    bounds = [(0.0, None), (0.0, None), (None, None)]
    found = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(*map(float, found.x))


def prior(shares: Matrix) -> Matrix:
    """What the frequency of a tag alone says."""
    found: Matrix = logit(np.clip(shares, RAREST, 1 - RAREST))
    return found
