"""How well scores find the wanted items. Scores: (N,) float; wanted: (N,) bool, same order.

Equal scores are one step, without an order among them. ValueError for different lengths, a score
that is not a number, or a missing class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.floating]
Wanted = NDArray[np.bool_]


def auroc(scores: Scores, wanted: Wanted) -> float:
    """The probability that a wanted item scores above another one; ties count half. Needs both."""
    _check(scores, wanted)
    positives = int(wanted.sum())
    negatives = wanted.size - positives
    if positives == 0 or negatives == 0:
        raise ValueError("AUROC needs both classes")
    above = rankdata(scores)[wanted].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def average_precision(scores: Scores, wanted: Wanted) -> float:
    """Precision summed over the steps of recall, without interpolation. Needs a wanted item."""
    hits, found, _ = _steps(scores, wanted)
    gained = np.diff(hits, prepend=0)
    return float((hits / found * gained).sum() / hits[-1])


def best_f1(scores: Scores, wanted: Wanted) -> tuple[float, float]:
    """The best F1 of `scores >= t`, and the highest such t. Needs a wanted item."""
    hits, found, thresholds = _steps(scores, wanted)
    values = 2 * hits / (found + hits[-1])
    best = int(values.argmax())
    return float(values[best]), float(thresholds[best])


def f1_at(scores: Scores, wanted: Wanted, threshold: float) -> float:
    """F1 of `scores >= threshold`; 1 if nothing is wanted and nothing is found."""
    _check(scores, wanted)
    found = scores >= threshold
    divisor = int(found.sum()) + int(wanted.sum())
    return 1.0 if divisor == 0 else 2 * int((found & wanted).sum()) / divisor


def _steps(
    scores: Scores, wanted: Wanted
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """For each distinct score, highest first: wanted items found, all items found, the score."""
    _check(scores, wanted)
    if not wanted.any():
        raise ValueError("nothing is wanted: precision and recall mean nothing")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return wanted[order].cumsum()[last], last + 1, ranked[last]


def _check(scores: Scores, wanted: Wanted) -> None:
    if scores.shape != wanted.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} do not belong to {wanted.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
