"""Boxes with a class and a score, and how boxes of several answers become one.

Weighted box fusion: Solovyev, Wang and Gabruseva, "Weighted boxes fusion: ensembling boxes from
different object detection models", Image and Vision Computing 107 (2021). Unlike non-maximum
suppression it drops no answer: boxes of one object are averaged, weighted by their scores, and what
only few of the answers saw loses score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.55  # IoU of boxes of one object; the value of the paper

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What a detector said of a picture. `corners`: (n, 4) left, top, right, bottom, in px."""

    corners: Floats
    scores: Floats  # (n,) in [0, 1]
    classes: NDArray[np.int64]  # (n,) numbers of classes

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Boxes:
        return cls(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))

    def mirrored(self, width: int) -> Boxes:
        """As they are in the mirror image of a picture of this width."""
        corners = self.corners.copy()
        corners[:, [0, 2]] = width - self.corners[:, [2, 0]]
        return Boxes(corners, self.scores, self.classes)

    def scaled(self, factor: float) -> Boxes:
        return Boxes(self.corners * factor, self.scores, self.classes)

    def within(self, width: int, height: int) -> Boxes:
        """Cut at the borders of the picture, without those of which nothing is left."""
        corners = self.corners.clip(0, [width, height, width, height])
        kept = (corners[:, 2] - corners[:, 0] >= 1) & (corners[:, 3] - corners[:, 1] >= 1)
        return Boxes(corners[kept], self.scores[kept], self.classes[kept])

    def above(self, score: float) -> Boxes:
        kept = self.scores >= score
        return Boxes(self.corners[kept], self.scores[kept], self.classes[kept])


def overlaps(one: Floats, others: Floats) -> Floats:
    """IoU of a box (4,) with each of (n, 4)."""
    wide = np.minimum(one[2], others[:, 2]) - np.maximum(one[0], others[:, 0])
    high = np.minimum(one[3], others[:, 3]) - np.maximum(one[1], others[:, 1])
    common = wide.clip(0) * high.clip(0)
    mine = (one[2] - one[0]) * (one[3] - one[1])
    theirs = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union = mine + theirs - common
    shares: Floats = np.where(union > 0, common / np.maximum(union, 1e-12), 0.0)
    return shares


def fuse(
    answers: Sequence[Boxes],
    weights: Sequence[float] | None = None,
    overlap: float = OVERLAP,
) -> Boxes:
    """The boxes of several answers about one picture as one, the highest score first.

    Boxes of one class that overlap by `overlap` are one object: its corners are their mean,
    weighted by score and weight of the answer; its score is their weighted mean, times the share
    of all answers (by weight, at most 1) that saw it. ValueError for weights of another number.
    """
    weights = [1.0] * len(answers) if weights is None else list(weights)
    if len(weights) != len(answers):
        raise ValueError(f"{len(weights)} weights for {len(answers)} answers")
    rows = [
        (float(score) * weight, weight, int(kind), corners)
        for answer, weight in zip(answers, weights, strict=True)
        for corners, score, kind in zip(answer.corners, answer.scores, answer.classes, strict=True)
    ]
    rows.sort(key=lambda row: -row[0])
    clusters: list[_Cluster] = []
    for weighted, weight, kind, corners in rows:
        best = _nearest(clusters, kind, corners, overlap)
        if best is None:
            best = _Cluster(kind)
            clusters.append(best)
        best.add(weighted, weight, corners)
    everybody = sum(weights)
    fused = sorted(((c.score(everybody), c) for c in clusters), key=lambda pair: -pair[0])
    if not fused:
        return Boxes.none()
    return Boxes(
        np.stack([cluster.corners for _, cluster in fused]),
        np.array([score for score, _ in fused]),
        np.array([cluster.kind for _, cluster in fused], np.int64),
    )


class _Cluster:
    """Boxes of one object."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self._total = self._weight = 0.0
        self._sum = np.zeros(4)

    def add(self, weighted: float, weight: float, corners: Floats) -> None:
        self._total += weighted
        self._weight += weight
        self._sum = self._sum + weighted * corners

    @property
    def corners(self) -> Floats:
        return self._sum / max(self._total, 1e-12)

    def score(self, everybody: float) -> float:
        return self._total / self._weight * min(1.0, self._weight / everybody)


def _nearest(
    clusters: Sequence[_Cluster], kind: int, corners: Floats, overlap: float
) -> _Cluster | None:
    same = [cluster for cluster in clusters if cluster.kind == kind]
    if not same:
        return None
    shares = overlaps(corners, np.stack([cluster.corners for cluster in same]))
    best = int(shares.argmax())
    return same[best] if shares[best] > overlap else None
