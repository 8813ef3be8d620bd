"""Confidence intervals: 95 % percentile bootstrap over images, seeded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]  # (N, ...): one row per image
Statistic = Callable[[Rows], float]

DRAWS = 2000


def mean(rows: Rows) -> float:
    return float(rows.mean())


def interval(
    rows: Rows, statistic: Statistic = mean, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Interval of `statistic(rows)` over resampled images. ValueError without images."""
    return _quantiles([statistic(rows[drawn]) for drawn in _resamples(len(rows), draws, seed)])


def paired_interval(
    ours: Rows, theirs: Rows, statistic: Statistic = mean, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Interval of `statistic(ours) - statistic(theirs)`, for the same resampled images.

    ValueError without images, or if the numbers of images differ.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"not paired: {len(ours)} and {len(theirs)} rows")
    return _quantiles(
        [
            statistic(ours[drawn]) - statistic(theirs[drawn])
            for drawn in _resamples(len(ours), draws, seed)
        ]
    )


def _resamples(count: int, draws: int, seed: int) -> NDArray[np.intp]:
    if count == 0:
        raise ValueError("no images to draw from")
    return np.random.default_rng(seed).integers(count, size=(draws, count))


def _quantiles(values: list[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
