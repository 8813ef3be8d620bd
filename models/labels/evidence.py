"""The question to every witness, and the data that it may use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Indices = NDArray[np.intp]
Evidence = NDArray[np.float64]  # log ratios; above 0: for the hashtag; 0: no knowledge
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pairs:
    """(post, hashtag), as indices."""

    posts: Indices
    tags: Indices

    def __len__(self) -> int:
        return len(self.posts)

    def __getitem__(self, chosen: NDArray[np.generic]) -> Pairs:
        return Pairs(self.posts[chosen], self.tags[chosen])


@dataclass(frozen=True, slots=True)
class Posts:
    """N posts with their hashtags. No witness may use the hashtags of the own group of a post."""

    vectors: Vectors  # (N, D), L2-normalised: the vectors of a network
    outlines: Vectors  # (N, S), see models.labels.outline
    names: tuple[str, ...]  # the T hashtags, sorted
    carries: sparse.csr_array  # (N, T) float64, 0 or 1
    groups: Indices  # (N,)

    @property
    def pairs(self) -> Pairs:
        """Every hashtag of every post, post by post, by name within a post."""
        posts, tags = self.carries.nonzero()
        order = np.lexsort((tags, posts))
        return Pairs(posts[order].astype(np.intp), tags[order].astype(np.intp))


def posts_of(
    embeddings: NDArray[np.floating],
    outlines: NDArray[np.floating],
    hashtags: Sequence[Collection[str]],
    authors: Sequence[str],
) -> Posts:
    """Check and join the data. Raises ValueError; it names the first vector that is not finite."""
    for what, rows in (("embedding", embeddings), ("outline", outlines)):
        if rows.ndim != 2 or not len(rows) == len(hashtags) == len(authors):
            raise ValueError(
                f"{what}s {rows.shape}, hashtags of {len(hashtags)} posts and "
                f"{len(authors)} authors do not belong together"
            )
        broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if broken.size:
            raise ValueError(f"{what} {broken[0]} is not finite ({broken.size} such)")
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    vectors = (embeddings / np.where(length == 0, 1, length)).astype(np.float32)
    names = tuple(sorted(set().union(*hashtags)))
    return Posts(
        vectors,
        outlines.astype(np.float32),
        names,
        _carries(hashtags, names),
        grouped(vectors, authors),
    )


def grouped(vectors: Vectors, authors: Sequence[str]) -> Indices:
    """(N,): one group for the posts of an author, and for posts with the same image.

    A person repeats a mistake in all posts, and a repost copies its hashtags: neither confirms
    anything.
    """
    count = len(vectors)
    if count == 0:
        return np.zeros(0, np.intp)
    _, author = np.unique(np.array(authors), return_inverse=True)
    _, picture = np.unique(vectors, axis=0, return_inverse=True)
    to = np.concatenate([count + author, count + count + picture.ravel()])
    links = sparse.coo_array((np.ones(2 * count), (np.tile(np.arange(count), 2), to)))
    links.resize((3 * count, 3 * count))
    components: Indices = connected_components(links, directed=False)[1][:count]
    return np.unique(components, return_inverse=True)[1].astype(np.intp)


def entries(matrix: sparse.csr_array, rows: Indices, columns: Indices) -> NDArray[np.float64]:
    """(P,): the values at these places. SciPy's own lookup returns types that depend on P."""
    stored = matrix.tocsr().sorted_indices()
    row = np.repeat(np.arange(stored.shape[0]), np.diff(stored.indptr))
    places = row * stored.shape[1] + stored.indices
    asked = rows * stored.shape[1] + columns
    found = np.searchsorted(places, asked)
    hit = np.append(places, -1)[found] == asked
    return np.where(hit, np.append(stored.data, 0.0)[found], 0.0)


def _carries(hashtags: Sequence[Collection[str]], names: Sequence[str]) -> sparse.csr_array:
    number = {name: i for i, name in enumerate(names)}
    rows = [sorted({number[name] for name in tags}) for tags in hashtags]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], np.intp)
    return sparse.csr_array((np.ones(len(columns)), columns, starts), (len(rows), len(names)))
