"""What the embedding shall be like: the teacher's features, centred and in fewer dimensions.

All features of such a teacher lie in a narrow cone; less their mean, near and far differ more. The
basis is that of the principal components, found once and kept beside the targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Basis:
    mean: Floats  # (D,)
    axes: Floats  # (D, d)

    def wanted(self, features: Floats) -> Floats:
        """(N, D) → (N, d) of length 1."""
        turned = (features - self.mean) @ self.axes
        found: Floats = turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-6)
        return found


def basis_of(path: Path, features: Floats, dimensions: int = DIMENSIONS) -> Basis:
    """The basis that `path` keeps; found from `features` (N, D) and kept when there is none."""
    if path.exists():
        with np.load(path) as stored:
            return Basis(stored["mean"], stored["axes"])
    mean = features.mean(0)
    _, vectors = np.linalg.eigh(np.cov((features - mean).T))
    basis = Basis(mean, np.ascontiguousarray(vectors[:, ::-1][:, :dimensions], np.float32))
    np.savez(path, mean=basis.mean, axes=basis.axes)
    return basis
