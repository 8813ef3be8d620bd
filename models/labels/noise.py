"""Swap hashtags on purpose, and measure how well each method finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.labels.fits import Method, Probabilities, fits
from models.metrics.bootstrap import interval
from models.metrics.ranking import auroc, average_precision, best_f1, f1_at

SAY_NOTHING = frozenset({"notsure", "other", "skip"})  # hashtags that fit every image
DOUBT = 0.5  # a hashtag with a lower probability counts as wrong
SEEDS = (2, 3, 4, 5, 6)  # of swaps; the methods were chosen on 0 and 1
DRAWS = 200  # of the bootstrap over posts

Wanted = NDArray[np.bool_]
Trial = tuple[Probabilities, Wanted]  # (N,) doubt, (N,) wrong


@dataclass(frozen=True, slots=True)
class Detection:
    """How well swapped hashtags are found at one rate of swaps: means over several trials."""

    rate: float
    method: str
    auroc: float
    low: float  # 95 % bootstrap interval of the AUROC, over posts
    high: float
    average_precision: float
    best_f1: float  # with the best threshold, chosen afterwards: an upper bound
    f1: float  # with the threshold in use, `DOUBT`


def swapped(hashtags: Sequence[str], rate: float, seed: int = 0) -> tuple[list[str], Wanted]:
    """Replace this share of the hashtags by others, drawn by their frequencies.

    Returns the new hashtags and which are wrong. ValueError unless 0 <= rate <= 1, or if there
    are fewer than two hashtags.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate is within 0 and 1, not {rate}")
    names, numbers = np.unique(np.array(hashtags), return_inverse=True)
    if len(names) < 2:
        raise ValueError("swapping needs two different hashtags")
    rng = np.random.default_rng(seed)
    share = np.bincount(numbers) / len(numbers)
    wrong = np.zeros(len(numbers), bool)
    wrong[rng.choice(len(numbers), round(rate * len(numbers)), replace=False)] = True
    result = numbers.copy()
    for post in np.flatnonzero(wrong):
        others = share.copy()
        others[numbers[post]] = 0
        result[post] = rng.choice(len(names), p=others / others.sum())
    return [str(names[number]) for number in result], wrong


def detect(
    embeddings: NDArray[np.floating],
    outlines: NDArray[np.floating],
    hashtags: Sequence[str],
    authors: Sequence[str],
    rate: float,
    *,
    seeds: Sequence[int] = SEEDS,
) -> list[Detection]:
    """Swap, let every method judge, compare. One hashtag per post. ValueError as `swapped`, and
    if the rate leaves no wrong or no right hashtag."""
    trials: dict[Method, list[Trial]] = {method: [] for method in Method}
    for seed in seeds:
        noisy, wrong = swapped(hashtags, rate, seed)
        if wrong.all() or not wrong.any():
            raise ValueError(
                f"{rate:.0%} of {len(wrong)} hashtags: both wrong and right are needed"
            )
        judged = fits(embeddings, outlines, [(tag,) for tag in noisy], authors, seed=seed)
        for method, probability in judged.probability.items():
            trials[method].append((1 - probability, wrong))
    return [_figures(rate, method, found) for method, found in trials.items()]


def _figures(rate: float, method: Method, trials: list[Trial]) -> Detection:
    rows = np.array([np.stack(trial) for trial in trials])  # (trials, doubt and wrong, posts)
    low, high = interval(rows.transpose(2, 0, 1), _auroc, draws=DRAWS)
    each = [
        (
            auroc(doubt, wrong),
            average_precision(doubt, wrong),
            best_f1(doubt, wrong)[0],
            f1_at(doubt, wrong, 1 - DOUBT),
        )
        for doubt, wrong in trials
    ]
    value, precision, best, used = np.mean(each, axis=0)
    values = (value, low, high, precision, best, used)
    return Detection(rate, str(method), *(round(float(value), 4) for value in values))


def _auroc(rows: NDArray[np.float64]) -> float:
    """Mean over the trials of a resample; a resample without one of the classes counts as 0.5."""
    found = []
    for doubt, wrong in rows.transpose(1, 2, 0):
        one = wrong.all() or not wrong.any()
        found.append(0.5 if one else auroc(doubt, wrong > 0))
    return float(np.mean(found))
