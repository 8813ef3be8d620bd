"""Masks of several answers about one object: what most of them say, and how much they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.base import Mask, Probability


@dataclass(frozen=True, slots=True, eq=False)
class Voted:
    """The mean of the answers. `agreement`: the mean IoU of each answer with the vote, in [0, 1];
    1 when all say that there is nothing."""

    probability: Probability  # (H, W)
    mask: Mask  # (H, W)
    agreement: float


def vote(
    answers: Sequence[Probability],
    weights: Sequence[float] | None = None,
    threshold: float = 0.5,
) -> Voted:
    """`answers`: one or more, (H, W) in [0, 1], each with its own certainty: a pixel is object
    where their weighted mean is above `threshold`. ValueError for none, or for other sizes."""
    if not answers:
        raise ValueError("there is no answer to vote on")
    if len({answer.shape for answer in answers}) > 1:
        raise ValueError(f"masks of different sizes: {sorted({a.shape for a in answers})}")
    weighed = np.ones(len(answers)) if weights is None else np.asarray(weights, float)
    if len(weighed) != len(answers) or weighed.sum() <= 0:
        raise ValueError(f"weights {weighed.tolist()} for {len(answers)} answers")
    mean = np.zeros(answers[0].shape, np.float64)
    for answer, weight in zip(answers, weighed, strict=True):
        mean += answer * (weight / weighed.sum())
    probability = mean.astype(np.float32)
    mask: Mask = probability > threshold
    shares = [_share(answer > threshold, mask) for answer in answers]
    return Voted(probability, mask, float(np.average(shares, weights=weighed)))


def box_of(mask: Mask) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) in px around all of it; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _share(one: Mask, other: Mask) -> float:
    either = np.count_nonzero(one | other)
    return 1.0 if not either else float(np.count_nonzero(one & other) / either)
