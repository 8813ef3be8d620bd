"""When do two pictures resemble each other, as a network sees them: a space, and a floor.

A network's embeddings may crowd around their mean, so that plain cosines say little (above 0.98
between any two photos, for a ViT's own tokens). Here the mean goes and the principal directions
are brought to one scale (PCA whitening: Jégou & Chum 2012, "Negative evidences and co-occurences
in image retrieval", ECCV). What a cosine is worth is told by the collection itself: the floor lies
above nearly all pairs drawn at random, and above what a picture of nothing would reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base import Image

Vectors = NDArray[np.float32]

DIMENSIONS = 128
SHRINK = 1e-4  # of the largest variance, added to all: directions of mere rounding stay small
ABOVE = 3.0  # standard deviations of random pairs
PAIRS = 20_000
LEAST = 8  # vectors from which a space can be told


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where a collection's vectors are compared."""

    mean: Vectors  # (D,)
    directions: Vectors  # (D, d)
    background: float  # cosine: mean + ABOVE deviations of random pairs
    nonsense: Vectors  # (n, d) unit vectors of pictures that show nothing; n may be 0

    @classmethod
    def fit(cls, vectors: Vectors, nonsense: Vectors, seed: int = 0) -> Space:
        """From (n, D) stored vectors and (m, D) ones of `nonsense()`. ValueError for n < LEAST."""
        if len(vectors) < LEAST:
            raise ValueError(f"{len(vectors)} vectors: a space needs {LEAST}")
        mean = vectors.mean(0, dtype=np.float64)
        centred = vectors - mean
        variances, axes = np.linalg.eigh(centred.T @ centred / len(vectors))
        largest = np.argsort(variances)[::-1][: min(DIMENSIONS, len(vectors) - 1)]
        scale = np.sqrt(np.maximum(variances[largest], 0) + SHRINK * variances[largest[0]] + 1e-12)
        directions = (axes[:, largest] / scale).astype(np.float32)
        bare = cls(mean.astype(np.float32), directions, 0.0, np.empty((0, 0), np.float32))
        random = np.random.default_rng(seed)
        pairs = random.integers(0, len(vectors), (2, PAIRS))
        left, right = bare.project(
            vectors[pairs[:, pairs[0] != pairs[1]]].reshape(-1, len(mean))
        ).reshape(2, -1, len(largest))
        cosines = np.einsum("nd,nd->n", left, right)
        background = float(cosines.mean() + ABOVE * cosines.std())
        return cls(bare.mean, directions, background, bare.project(nonsense))

    def project(self, vectors: Vectors) -> Vectors:
        """(n, D) or (D,) → unit vectors of d dimensions, float32."""
        found = (vectors - self.mean) @ self.directions
        norms = np.linalg.norm(found, axis=-1, keepdims=True)
        unit: Vectors = (found / np.maximum(norms, 1e-12)).astype(np.float32)
        return unit

    def floor(self, query: Vectors) -> float:
        """The cosine that a hit of this projected query must exceed, in [-1, 1]."""
        if not self.nonsense.size:
            return self.background
        return max(self.background, float((self.nonsense @ query).max()))


def nonsense(seed: int = 0) -> list[Image]:
    """Pictures of nothing, 256 × 256: noise of several kinds and grains, and flat colours."""
    random = np.random.default_rng(seed)
    noise: list[NDArray[Any]] = [random.integers(0, 256, (256, 256, c)) for c in (3, 1)]
    noise += [random.normal(128, spread, (256, 256, 3)) for spread in (8, 25, 50)]
    for grain in (2, 4, 8, 16):
        cells = random.integers(0, 256, (256 // grain, 256 // grain, 3))
        noise.append(np.kron(cells, np.ones((grain, grain, 1))))
    noise += [np.full((256, 256, 3), level) for level in (0, 64, 128, 192, 255)]
    return [
        np.broadcast_to(picture.clip(0, 255), (256, 256, 3)).astype(np.uint8) for picture in noise
    ]
