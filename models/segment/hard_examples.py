"""Which pictures are like those on which a network failed: by object, background and light.

The vectors of an aspect are compared in the space of the collection (`models.resemblance`); light
by its distance, in standard deviations of the collection. Each weight may be 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.resemblance import LEAST, Space

OBJECT, BACKGROUND, LIGHT = "object", "background", "light"
ASPECTS = (OBJECT, BACKGROUND, LIGHT)
SAME = 0.98  # object and background both: it is the failure itself, or a copy of it

Vectors = Mapping[str, NDArray[np.float32]]  # aspect → (n, D)
Similarities = dict[str, NDArray[np.float64]]  # aspect → (failures, pictures), in [-1, 1]


@dataclass(frozen=True, slots=True)
class Alikeness:
    """A picture that is like a failure."""

    failure: int
    picture: int
    score: float
    aspects: dict[str, float]


def similarities(failures: Vectors, pictures: Vectors) -> Similarities:
    """ValueError for fewer than `models.resemblance.LEAST` pictures."""
    found: Similarities = {}
    for aspect in (OBJECT, BACKGROUND):
        space = Space.fit(pictures[aspect], np.empty((0, pictures[aspect].shape[1]), np.float32))
        found[aspect] = np.asarray(
            space.project(failures[aspect]) @ space.project(pictures[aspect]).T, np.float64
        )
    if len(pictures[LIGHT]) < LEAST:
        raise ValueError(f"{len(pictures[LIGHT])} pictures: {LEAST} are needed")
    scale = pictures[LIGHT].std(axis=0) + 1e-3
    apart = (failures[LIGHT][:, None] - pictures[LIGHT][None]) / scale
    found[LIGHT] = np.exp(-(apart**2).mean(axis=2) / 2).astype(np.float64)
    return found


def nearest(alike: Similarities, weights: Mapping[str, float], each: int) -> list[Alikeness]:
    """For each failure the `each` pictures most like it, without copies of it, best first.

    ValueError for weights that are negative, or all 0.
    """
    if min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("weights are at least 0, and one is above")
    total = sum(weights.values())
    score = sum(alike[aspect] * (weights[aspect] / total) for aspect in ASPECTS)
    copies = np.minimum(alike[OBJECT], alike[BACKGROUND]) > SAME
    assert not isinstance(score, int)  # noqa: S101 - there are aspects
    score = np.where(copies, -np.inf, score)
    found = []
    for failure, row in enumerate(score):
        for picture in np.argsort(-row, kind="stable")[:each].tolist():
            if np.isfinite(row[picture]):
                aspects = {a: round(float(alike[a][failure, picture]), 4) for a in ASPECTS}
                one = Alikeness(failure, picture, round(float(row[picture]), 4), aspects)
                found.append(one)
    return found
