"""The vote of the nearest images. Embeddings: (N, D) float, L2-normalised; groups: (N,) int."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

K = 20
TEMPERATURE = 0.07  # a vote weighs exp(similarity / 0.07), as in the DINO paper
BLOCK = 1024  # rows of the similarity matrix in memory at once

Vectors = NDArray[np.float32]
Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest images of each image, without its own group (author)."""

    index: NDArray[np.intp]  # (N, k)
    weight: NDArray[np.float64]  # (N, k); rows sum to 1, or to 0 if there is no other group


def neighbours(embeddings: Vectors, groups: Groups, k: int = K) -> Neighbours:
    """The k nearest by cosine similarity, in any order; fewer if there are not so many."""
    count = len(embeddings)
    k = min(k, count)
    index = np.zeros((count, k), np.intp)
    similarity = np.zeros((count, k), np.float64)
    for start in range(0, count, BLOCK):
        block = slice(start, start + BLOCK)
        near = embeddings[block] @ embeddings.T
        near[groups[block, None] == groups[None, :]] = -np.inf
        index[block] = np.argpartition(-near, k - 1, axis=1)[:, :k]
        similarity[block] = np.take_along_axis(near, index[block], axis=1)
    weight = np.exp((similarity - 1) / TEMPERATURE)  # exp(-inf) = 0: their own group
    total = weight.sum(axis=1, keepdims=True)
    return Neighbours(index, np.divide(weight, total, out=np.zeros_like(weight), where=total > 0))


def votes(near: Neighbours, carries: sparse.csr_array) -> sparse.csr_array:
    """(N, T): the weight of the neighbours for each of T hashtags; `carries` is (N, T), 0 or 1."""
    count, k = near.index.shape
    starts = np.arange(0, count * k + 1, max(k, 1))
    weights = sparse.csr_array((near.weight.ravel(), near.index.ravel(), starts), (count, count))
    return weights @ carries


def knn_accuracy(
    embeddings: Vectors, hashtags: Sequence[Collection[str]], groups: Groups, k: int = K
) -> float:
    """Share of images for which the hashtag with the most votes is one of their own.

    With equal votes the alphabetically first counts; an image without a neighbour counts as wrong.
    ValueError without images.
    """
    if len(embeddings) == 0:
        raise ValueError("no pictures")
    names = sorted(set().union(*hashtags))
    carries = np.array([[name in tags for name in names] for tags in hashtags], np.float64)
    result = votes(neighbours(embeddings, groups, k), sparse.csr_array(carries)).toarray()
    won = carries[np.arange(len(carries)), result.argmax(axis=1)] > 0
    return float((won & (result.max(axis=1) > 0)).mean())
