"""Is a new network proved to be better than the one in service?

The rule, with all intervals 95 % percentile bootstraps of the paired difference, new minus old:

- With at least CORRECTED masks of a person, IoU on those decides alone: better by at least GAIN on
  average, and the interval is above 0.
- Else both must hold. (1) kNN accuracy on the hashtags of held-out authors' posts is not
  worse: the lower end of the interval is at least -MARGIN, so a larger loss is excluded.
  (2) Agreement (IoU) with the teacher's masks on held-out authors' photos is better by at least
  GAIN, and the interval is above 0.
- Figures of fewer than FEWEST posts or photos prove nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.metrics.bootstrap import paired_interval

SHIPPED = "embedded"  # the version of the shipped network
CORRECTED = 50
FEWEST = 20
GAIN = 0.01
MARGIN = 0.02
_ROUNDING = 1e-9  # of a difference of means


@dataclass(frozen=True, slots=True)
class Paired:
    """A measure of both networks on the same items: means, and the interval of the difference."""

    count: int
    new: float
    old: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.new - self.old

    def __str__(self) -> str:
        return (
            f"{self.old:.3f} → {self.new:.3f} ({self.difference:+.3f}, "
            f"95 % {self.low:+.3f} to {self.high:+.3f}, n = {self.count})"
        )


def paired(new: Sequence[float], old: Sequence[float]) -> Paired | None:
    """None without values. ValueError for different lengths, or values that are not finite."""
    ours, theirs = np.asarray(new, np.float64), np.asarray(old, np.float64)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("a figure is not a number")
    if len(ours) == len(theirs) == 0:
        return None
    low, high = paired_interval(ours, theirs)
    return Paired(len(ours), float(ours.mean()), float(theirs.mean()), low, high)


@dataclass(frozen=True, slots=True)
class Evidence:
    """None: there was nothing to measure."""

    knn: Paired | None = None  # right or wrong per held-out post
    agreement: Paired | None = None  # IoU with the teacher per held-out photo
    corrected: Paired | None = None  # IoU per corrected mask
    failures: Paired | None = None  # IoU per picture on which a network failed; decides nothing

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decision:
    promote: bool
    reason: str


def decide(evidence: Evidence) -> Decision:
    """The rule above."""
    corrected = evidence.corrected
    if corrected is not None and corrected.count >= CORRECTED:
        asked = [_better("IoU on corrected masks", corrected)]
    else:
        asked = [
            _not_worse("kNN accuracy", evidence.knn),
            _better("agreement with the teacher", evidence.agreement),
        ]
    against = [text for fine, text in asked if not fine]
    if against:
        return Decision(False, "; ".join(against))
    return Decision(True, "; ".join(text for _, text in asked))


def _better(what: str, figure: Paired | None) -> tuple[bool, str]:
    if figure is None or figure.count < FEWEST:
        return False, _too_few(what, figure)
    if figure.low <= 0:
        return False, f"{what} is not proved to be better: {figure}"
    if figure.difference < GAIN - _ROUNDING:
        return False, f"{what} is better by less than a point: {figure}"
    return True, f"{what} is better: {figure}"


def _not_worse(what: str, figure: Paired | None) -> tuple[bool, str]:
    if figure is None or figure.count < FEWEST:
        return False, _too_few(what, figure)
    if figure.low < -MARGIN - _ROUNDING:
        return False, f"{what} may be worse by more than {MARGIN:.0%}: {figure}"
    return True, f"{what} is not worse: {figure}"


def _too_few(what: str, figure: Paired | None) -> str:
    count = figure.count if figure else 0
    return f"{what} was measured on {count} only, {FEWEST} are needed"
