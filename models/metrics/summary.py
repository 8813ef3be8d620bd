"""The measures of a set of masks, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import Mask, Probability
from models.metrics.bootstrap import Rows, Statistic, interval, mean
from models.metrics.masks import boundary_f, f_curve, iou, located, max_f


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


def estimate(value: float, low: float, high: float) -> Estimate:
    """Rounded to the precision that the number of images allows."""
    return Estimate(round(float(value), 4), round(low, 4), round(high, 4))


@dataclass(frozen=True, slots=True)
class Scored:
    """The mask of one image against the true one."""

    iou: float
    curve: NDArray[np.float64]  # (256,) F-measures over the thresholds
    boundary_f: float
    located: bool


@dataclass(frozen=True, slots=True)
class MaskFigures:
    what: str
    images: int
    mean_iou: Estimate
    median_iou: Estimate
    max_f: Estimate
    boundary_f: Estimate
    corloc: Estimate


def scored(mask: Mask, probability: Probability, wanted: Mask) -> Scored:
    """All measures of one image. ValueError for different sizes."""
    return Scored(
        iou(mask, wanted),
        f_curve(probability, wanted),
        boundary_f(mask, wanted),
        located(mask, wanted),
    )


def figures(what: str, images: Sequence[Scored]) -> MaskFigures:
    """ValueError without images."""
    if not images:
        raise ValueError("no images")
    ious = np.array([image.iou for image in images])
    return MaskFigures(
        what,
        len(images),
        _estimate(ious, mean),
        _estimate(ious, lambda rows: float(np.median(rows))),
        _estimate(np.array([image.curve for image in images]), max_f),
        _estimate(np.array([image.boundary_f for image in images]), mean),
        _estimate(np.array([image.located for image in images], np.float64), mean),
    )


def _estimate(rows: Rows, statistic: Statistic) -> Estimate:
    return estimate(statistic(rows), *interval(rows, statistic))
