"""What has been measured: one JSON per figure, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.metrics.bootstrap import interval, paired_interval


class Key(NamedTuple):
    """One measurement of one arm."""

    measure: str  # ncut, frozen, tuned, border, canvas
    arm: str
    size: int = 0  # images the backbone was trained on; 0: all
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.size or 'all'}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    low: float  # 95 % interval, bootstrap over images
    high: float
    images: int
    seeds: int

    @property
    def proven(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


class Book:
    """Per-image IoU of every measurement below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: Key) -> Path:
        return self.root / "results" / key.measure / f"{key.name}.json"

    def has(self, key: Key) -> bool:
        return self.path(key).exists()

    def write(self, key: Key, ious: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        """All at once or not at all. ValueError without images."""
        if not ious:
            raise ValueError(f"{key}: no images")
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        rounded = {name: round(float(value), 5) for name, value in sorted(ious.items())}
        partial = path.with_suffix(".part")
        partial.write_text(
            json.dumps({"key": key._asdict(), "facts": facts, "iou": rounded}), encoding="utf-8"
        )
        partial.replace(path)

    def read(self, key: Key) -> dict[str, float]:
        found: dict[str, float] = json.loads(self.path(key).read_text(encoding="utf-8"))["iou"]
        return found

    def facts(self, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path(key).read_text(encoding="utf-8"))["facts"]
        return found

    def measured(self) -> Iterator[Key]:
        """Everything measured, in no meaningful order."""
        for path in sorted((self.root / "results").glob("*/*.json")):
            yield Key(**json.loads(path.read_text(encoding="utf-8"))["key"])

    def seeds(self, measure: str, arm: str, size: int = 0) -> set[int]:
        return {key.seed for key in self.measured() if key[:3] == (measure, arm, size)}

    def rows(
        self, measure: str, arm: str, size: int, seeds: Collection[int], without: Collection[str]
    ) -> dict[str, float]:
        """Image → mean IoU over the seeds, for images that all seeds have, but `without` some."""
        found = [self.read(Key(measure, arm, size, seed)) for seed in sorted(seeds)]
        names = set.intersection(*map(set, found)) - set(without)
        return {name: float(np.mean([f[name] for f in found])) for name in sorted(names)}

    def mean(self, measure: str, arm: str, size: int, *, without: Collection[str]) -> Figure | None:
        """Mean IoU over images and over all seeds there are; None when nothing was measured."""
        seeds = self.seeds(measure, arm, size)
        if not seeds:
            return None
        rows = self.rows(measure, arm, size, seeds, without)
        values = column(rows, list(rows))
        return Figure(float(values.mean()), *interval(values), len(rows), len(seeds))

    def difference(
        self, measure: str, ours: tuple[str, int], theirs: tuple[str, int],
        *, without: Collection[str],
    ) -> Figure | None:  # fmt: skip
        """Ours minus theirs, image by image, over the seeds that both have; None without any."""
        both = self.seeds(measure, *ours) & self.seeds(measure, *theirs)
        if not both:
            return None
        one = self.rows(measure, *ours, both, without)
        other = self.rows(measure, *theirs, both, without)
        names = sorted(one.keys() & other.keys())
        a, b = column(one, names), column(other, names)
        return Figure(float((a - b).mean()), *paired_interval(a, b), len(names), len(both))


def column(rows: Mapping[str, float], names: list[str]) -> NDArray[np.float64]:
    return np.array([rows[name] for name in names], np.float64)
