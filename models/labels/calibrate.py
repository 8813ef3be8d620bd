"""From evidence to a probability: own hashtags against hashtags drawn at random.

No label says which hashtags fit. But the own hashtags of a post fit more often than others of the
same frequency. A logistic regression over the evidence weights each witness by how well it tells
them apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from models.labels.evidence import Pairs, Posts, entries

RIDGE = 1e-4  # keeps the weights finite if own and drawn hashtags can be separated without error

Matrix = NDArray[np.float64]


def drawn(posts: Posts, seed: int) -> Pairs:
    """For each pair, its post with a hashtag of others, drawn by frequency.

    Sixteen draws are tried, then the pair is left out.
    """
    pairs, rng = posts.pairs, np.random.default_rng(seed)
    tags, open_ = pairs.tags.copy(), np.arange(len(pairs))
    for _ in range(16):
        tags[open_] = rng.choice(pairs.tags, open_.size) if open_.size else tags[open_]
        own = entries(posts.carries, pairs.posts[open_], tags[open_]) > 0
        open_ = open_[own]
    return Pairs(pairs.posts, tags)[np.setdiff1d(np.arange(len(pairs)), open_)]


def calibrated(own: Matrix, foreign: Matrix) -> Matrix:
    """(P,) probabilities in [0, 1] for `own` (P, W); `foreign` (Q, W) is the same of drawn pairs.

    0.5 means: as probable as a hashtag drawn at random. It is also the result without evidence (all
    0; there is no constant term), or without own or drawn pairs. Weights are not negative, so no
    witness counts against its own answer.
    """
    if len(own) == 0 or len(foreign) == 0:
        return np.full(len(own), 0.5)
    evidence = np.concatenate([own, foreign])
    sign = np.concatenate([np.ones(len(own)), -np.ones(len(foreign))])
    weight = np.where(sign > 0, 0.5 / len(own), 0.5 / len(foreign))

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        margin = sign * (evidence @ flat)
        slope = -weight * sign * expit(-margin)
        value = (weight * np.logaddexp(0, -margin)).sum() + RIDGE / 2 * (flat**2).sum()
        return float(value), evidence.T @ slope + RIDGE * flat

    witnesses = own.shape[1]
    bounds = [(0.0, None)] * witnesses
    found = minimize(loss, np.zeros(witnesses), jac=True, method="L-BFGS-B", bounds=bounds)
    result: Matrix = expit(own @ found.x)
    return result
