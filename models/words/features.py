"""What the words are learned from: what a network saw in an image, and its outlines.

Both are vectors that other parts of the program keep already. Each is whitened by what the
collection itself shows (`models.resemblance`), so that neither outweighs the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.resemblance import LEAST, Space

Vectors = NDArray[np.float32]
PER_DIRECTION = 8  # images: with fewer, the whitened directions are mostly chance
NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Embeddings (n, D) and outlines (n, S) of the same images → features (n, d), rows of length 1
    in each half."""

    seen: Space
    outlined: Space

    @classmethod
    def fit(cls, embeddings: Vectors, outlines: Vectors) -> Sight:
        """Raises ValueError for fewer images than tell a space."""
        return cls(_space(embeddings), _space(outlines))

    def __call__(self, embeddings: Vectors, outlines: Vectors) -> Vectors:
        parts = [self.seen.project(embeddings), self.outlined.project(outlines)]
        return np.concatenate(parts, axis=-1)

    @property
    def width(self) -> int:
        return int(self.seen.directions.shape[1] + self.outlined.directions.shape[1])

    def arrays(self) -> dict[str, Vectors]:
        """For a file."""
        return {
            "seen_mean": self.seen.mean,
            "seen_directions": self.seen.directions,
            "outlined_mean": self.outlined.mean,
            "outlined_directions": self.outlined.directions,
        }

    @classmethod
    def of(cls, kept: dict[str, Vectors]) -> Sight:
        """From `arrays`. Raises KeyError."""
        return cls(
            Space(kept["seen_mean"], kept["seen_directions"], 0.0, NOTHING),
            Space(kept["outlined_mean"], kept["outlined_directions"], 0.0, NOTHING),
        )


def _space(vectors: Vectors) -> Space:
    if len(vectors) < LEAST:
        raise ValueError(f"{len(vectors)} images: words need {LEAST}")
    found = Space.fit(vectors, np.empty((0, vectors.shape[1]), np.float32))
    told = max(LEAST // 2, len(vectors) // PER_DIRECTION)
    return Space(found.mean, found.directions[:, :told], 0.0, NOTHING)
