"""The probability that each hashtag of each post fits its image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.labels.calibrate import calibrated, drawn
from models.labels.evidence import Pairs, posts_of
from models.labels.kernel import kernel
from models.labels.probe import probe
from models.labels.vote import vote

Probabilities = NDArray[np.float64]


class Method(StrEnum):
    KNN = "knn"  # the vote of the nearest images
    PROBE = "probe"  # a linear classifier that never saw the author
    OUTLINE = "outline"  # a kernel regression on outlines that never saw the author
    COMBINED = "combined"  # all three; the one to use
    FREQUENCY = (
        "frequency"  # the frequency of the hashtag: the baseline that does not look at the image
    )


@dataclass(frozen=True, slots=True)
class Fits:
    """Pair i says that hashtag `hashtags[i]` is on post `posts[i]`; each pair once."""

    posts: NDArray[np.intp]  # (P,), rows of the embeddings
    hashtags: tuple[str, ...]
    probability: dict[Method, Probabilities]  # (P,) each, in [0, 1]


def fits(
    embeddings: NDArray[np.floating],
    outlines: NDArray[np.floating],
    hashtags: Sequence[Collection[str]],
    authors: Sequence[str],
    *,
    seed: int = 0,
) -> Fits:
    """Embeddings (N, D), outlines (N, S), each post's hashtags and author → the result of every
    method.

    0.5 means: as probable as a hashtag drawn at random by frequency. It is also the result if
    nothing is known of a hashtag, because only one author uses it. `frequency` is the share of
    posts with the hashtag. Deterministic. ValueError for numbers that are not finite, or if the
    four do not have the same length.
    """
    posts = posts_of(embeddings, outlines, hashtags, authors)
    own = posts.pairs
    if len(own) == 0:
        return Fits(own.posts, (), {method: np.zeros(0) for method in Method})
    foreign = drawn(posts, seed)
    both = Pairs(
        np.concatenate([own.posts, foreign.posts]), np.concatenate([own.tags, foreign.tags])
    )
    evidence = np.stack([vote(posts, both), probe(posts, both), kernel(posts, both)], axis=1)
    ours, theirs = evidence[: len(own)], evidence[len(own) :]
    share = posts.carries.sum(axis=0)[own.tags] / len(embeddings)
    return Fits(
        own.posts,
        tuple(posts.names[tag] for tag in own.tags),
        {
            Method.KNN: calibrated(ours[:, :1], theirs[:, :1]),
            Method.PROBE: calibrated(ours[:, 1:2], theirs[:, 1:2]),
            Method.OUTLINE: calibrated(ours[:, 2:], theirs[:, 2:]),
            Method.COMBINED: calibrated(ours, theirs),
            Method.FREQUENCY: np.asarray(share, np.float64),
        },
    )
