"""Kernel ridge regression on outlines as a witness; it judges only people that it never saw.

Gaussian kernel and squared loss; wrong hashtags disturb it less than a logistic loss. Reduced to
landmarks (the subset of regressors of Smola & Bartlett, "Sparse Greedy Gaussian Process
Regression", NIPS 2000): memory and time grow with the number of posts, not with its square.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from models.labels.evidence import Evidence, Indices, Pairs, Posts, Vectors
from models.labels.probe import FOLDS, LEAST, MOST, folded

LANDMARKS = 1024
RIDGE = 1.0
JITTER = 1e-3  # separates similar landmarks
SAME = 1e-9  # a mean squared distance below this is rounding
BLOCK = 1024  # posts that are compared with the landmarks at once

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sums:
    """What the regression needs from some posts, for M landmarks and T hashtags."""

    gram: Matrix  # (M, M)
    hits: Matrix  # (M, T)
    mass: Matrix  # (M,)
    carriers: Matrix  # (T,)
    count: int

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        return Sums(
            self.gram + sign * other.gram,
            self.hits + sign * other.hits,
            self.mass + sign * other.mass,
            self.carriers + sign * other.carriers,
            self.count + sign * other.count,
        )


class Landmarks:
    """The images with which all others are compared; the same ones for the same posts."""

    def __init__(self, outlines: Vectors) -> None:
        drawn = np.random.default_rng(0).permutation(len(outlines))[:LANDMARKS]
        self._chosen = outlines[np.sort(drawn)]
        apart = _squares(self._chosen, self._chosen)
        self.width = float(apart.mean())  # almost 0: all are one image
        self.penalty = RIDGE * (self._kernel(apart) + JITTER * np.eye(len(apart)))

    def near(self, outlines: Vectors) -> Matrix:
        """(N, M): 1 for the same image, less for others, above 0."""
        return self._kernel(_squares(outlines, self._chosen))

    def _kernel(self, squares: Matrix) -> Matrix:
        result: Matrix = np.exp(-squares / max(self.width, SAME))
        return result


def _squares(some: Vectors, others: Vectors) -> Matrix:
    """Squared distances by one product, ten times as fast as one by one."""
    some, others = some.astype(np.float64), others.astype(np.float64)
    lengths = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    result: Matrix = np.maximum(lengths - 2 * some @ others.T, 0)
    return result


def kernel(posts: Posts, pairs: Pairs, folds: int = FOLDS) -> Evidence:
    """(P,): the expected share of the hashtag for the image, minus its share among the training
    posts, in standard deviations of the latter.

    0 for a hashtag that is not among the 256 most frequent ones or has too few posts.
    """
    result = np.zeros(len(pairs), np.float64)
    tags = np.sort(np.argsort(-posts.carries.sum(axis=0), kind="stable")[:MOST])
    fold = folded(posts.groups, folds)
    numbers = np.unique(fold)
    if len(numbers) < 2 or len(tags) == 0:
        return result
    marks = Landmarks(posts.outlines)
    if marks.width < SAME:
        return result
    carries = posts.carries.tocsc()[:, tags].tocsr()
    parts = [_sums(posts, marks, carries, np.flatnonzero(fold == number)) for number in numbers]
    whole = reduce(Sums.plus, parts)
    column = np.searchsorted(tags, pairs.tags).clip(max=len(tags) - 1)
    learned = tags[column] == pairs.tags
    for number, part in zip(numbers, parts, strict=True):
        here = np.flatnonzero((fold[pairs.posts] == number) & learned)
        asked = Pairs(pairs.posts[here], column[here])
        result[here] = _answer(posts, marks, whole.plus(part, -1), asked)
    return result


def _sums(posts: Posts, marks: Landmarks, carries: sparse.csr_array, rows: Indices) -> Sums:
    """Block by block, so that memory does not grow with the posts."""

    def of(block: Indices) -> Sums:
        near, own = marks.near(posts.outlines[block]), carries[block]
        return Sums(near.T @ near, (own.T @ near).T, near.sum(0), own.sum(axis=0), len(block))

    return reduce(Sums.plus, map(of, np.split(rows, range(BLOCK, len(rows), BLOCK))))


def _answer(posts: Posts, marks: Landmarks, known: Sums, pairs: Pairs) -> Evidence:
    """`pairs.tags` are columns of `known`."""
    share = known.carriers / known.count
    factor = cho_factor(known.gram + marks.penalty)
    weights = cho_solve(factor, known.hits - np.outer(known.mass, share))
    spread = np.sqrt(share * (1 - share))
    enough = (known.carriers >= LEAST) & (spread > 0)
    weights *= np.divide(1, spread, out=np.zeros_like(spread), where=enough)
    asked, row = np.unique(pairs.posts, return_inverse=True)
    result = np.zeros(len(pairs), np.float64)
    order = np.argsort(row, kind="stable")
    for start in range(0, len(asked), BLOCK):
        block = order[np.searchsorted(row[order], start) :]
        block = block[row[block] < start + BLOCK]
        expected = marks.near(posts.outlines[asked[start : start + BLOCK]]) @ weights
        result[block] = expected[row[block] - start, pairs.tags[block]]
    return result
