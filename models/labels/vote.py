"""The nearest images of other people as witnesses."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.labels.evidence import Evidence, Pairs, Posts, entries
from models.metrics.knn import K, neighbours, votes


def vote(posts: Posts, pairs: Pairs, k: int = K) -> Evidence:
    """(P,): log of votes for the hashtag over votes expected from its share among other people.

    Both get one vote more, so that a rare hashtag without votes is not excluded.
    """
    near = neighbours(posts.vectors, posts.groups, k)
    given = entries(votes(near, posts.carries), pairs.posts, pairs.tags)
    expected = share_elsewhere(posts, pairs)
    return np.log((k * given + 1) / (k * expected + 1))


def share_elsewhere(posts: Posts, pairs: Pairs) -> Evidence:
    """(P,): the share of posts outside the own group that have the hashtag, in [0, 1]."""
    count = len(posts.groups)
    belongs = sparse.csr_array((np.ones(count), (posts.groups, np.arange(count))))
    inside = belongs @ posts.carries
    group = posts.groups[pairs.posts]
    carriers = posts.carries.sum(axis=0)[pairs.tags]
    others = count - np.bincount(posts.groups)[group]
    own = entries(inside, group, pairs.tags)
    return np.asarray((carriers - own) / np.maximum(others, 1), np.float64)
