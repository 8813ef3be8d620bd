"""Ridge regression from the features of images to words, solved in closed form.

Each word counts as much as it is rare: its deviation is brought to 1, as pointwise mutual
information does. Squared loss, because a wrong hashtag disturbs it less than a logistic loss: on
1,094 photos with several hashtags the latter was worse than the frequency of the tags
(docs/benchmarks.md, "Tags and search by words").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

RIDGE = 3.0  # of the mean variance of a feature; between 1 and 100 little changes

Vectors = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """(n, d) features → (n, T) evidence: 0 as for any image, above it for the word."""

    mean: Matrix  # (d,) of the features that taught it
    shares: Matrix  # (T,) of the posts that have the word
    weights: Matrix  # (d, T)

    @classmethod
    def fit(cls, features: Vectors, wanted: Matrix | sparse.csr_array) -> Regression:
        """`wanted`: (n, T), 1 where the post has the word. Deterministic."""
        mean = features.mean(axis=0, dtype=np.float64)
        centred = features.astype(np.float64) - mean
        shares = np.asarray(wanted.mean(axis=0), np.float64).ravel()
        spread = np.sqrt(np.maximum(shares * (1 - shares), 1e-12))
        gram = centred.T @ centred
        penalty = RIDGE * float(np.trace(gram)) / len(gram) + 1e-9
        factor = cho_factor(gram + penalty * np.eye(len(gram)))
        # The features are centred, so the mean of `wanted` needs not be taken from it.
        hits = np.asarray(wanted.T @ centred, np.float64).T / spread
        return cls(mean, shares, cho_solve(factor, hits))

    def __call__(self, features: Vectors) -> Matrix:
        found: Matrix = (features.astype(np.float64) - self.mean) @ self.weights
        return found
