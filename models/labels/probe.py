"""A linear classifier per hashtag as a witness; it judges only people that it never saw.

One-vs-rest logistic regression, because a post may have several hashtags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.labels.evidence import Evidence, Indices, Pairs, Posts

FOLDS = 5
RIDGE = 1e-3  # of squared weights on standardised features, against the mean loss
LEAST = 4  # posts; with fewer nothing is learned, and the answer is 0
MOST = 256  # hashtags; the most frequent ones are learned, so that time grows only with the posts
BLOCK = 64  # hashtags that are learned at once, independently
STEPS = 100

Matrix = NDArray[np.float64]


def probe(posts: Posts, pairs: Pairs, folds: int = FOLDS) -> Evidence:
    """(P,): logit of the hashtag for the image, minus its logit for any image.

    0 for a hashtag that is not among the 256 most frequent ones or has too few posts.
    """
    result = np.zeros(len(pairs), np.float64)
    fold = folded(posts.groups, folds)
    for number in range(folds):
        asked, known = fold == number, fold != number
        if not asked.any() or not known.any():
            continue
        here = np.flatnonzero(asked[pairs.posts])
        result[here] = _fold(posts, pairs[here], np.flatnonzero(known))
    return result


def folded(groups: Indices, folds: int) -> Indices:
    """(N,): the fold of each post; groups stay whole; the largest are assigned first."""
    sizes = np.bincount(groups)
    load = np.zeros(folds, np.intp)
    fold = np.zeros(len(sizes), np.intp)
    for group in np.argsort(-sizes, kind="stable"):
        fold[group] = load.argmin()
        load[fold[group]] += sizes[group]
    return fold[groups]


def _fold(posts: Posts, pairs: Pairs, known: Indices) -> Evidence:
    """Train on the posts `known`, judge `pairs` of other posts."""
    features = posts.vectors[known].astype(np.float64)
    middle, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread < 1e-9, 0, 1 / np.maximum(spread, 1e-9))
    features = (features - middle) * scale
    carries = posts.carries[known].tocsc()
    carriers = carries.sum(axis=0)
    enough = (carriers >= LEAST) & (carriers < len(known))
    common = np.argsort(-carriers, kind="stable")[:MOST]
    taught = np.intersect1d(np.unique(pairs.tags), common[enough[common]])
    result = np.zeros(len(pairs), np.float64)
    for start in range(0, len(taught), BLOCK):
        tags = taught[start : start + BLOCK]
        weights, bias = learn(features, carries[:, tags].toarray())
        here = np.flatnonzero(np.isin(pairs.tags, tags))
        column = np.searchsorted(tags, pairs.tags[here])
        pictures = (posts.vectors[pairs.posts[here]] - middle) * scale
        usual = logit(carriers[tags] / len(known))
        result[here] = (pictures * weights.T[column]).sum(axis=1) + (bias - usual)[column]
    return result


def learn(features: Matrix, wanted: Matrix) -> tuple[Matrix, Matrix]:
    """Weights (D, T) and bias (T,) for (N, D) features and (N, T) answers, 0 or 1."""
    (count, width), tags = features.shape, wanted.shape[1]

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        weights, bias = flat[:-tags].reshape(width, tags), flat[-tags:]
        scores = features @ weights + bias
        error = (expit(scores) - wanted) / count
        value = (np.logaddexp(0, scores) - wanted * scores).sum() / count
        slope = features.T @ error + RIDGE * weights
        penalty = RIDGE / 2 * (weights**2).sum()
        return float(value + penalty), np.append(slope.ravel(), error.sum(axis=0))

    start = np.append(np.zeros(width * tags), logit(wanted.mean(axis=0)))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return found.x[:-tags].reshape(width, tags), found.x[-tags:]
