"""Vectors of words in the space of images: which images does a word speak of?

The regression of `models.words.ridge` from the features of images to the words of their captions
and hashtags: its weights are the vectors, and a query is the sum of its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.words.ridge import Matrix, Regression, Vectors

MOST = 4096  # words
LEAST = 4  # posts of a word


@dataclass(frozen=True, slots=True, eq=False)
class TextVectors:
    """A text → a direction in the space of features, of length 1; None if no word is known."""

    words: tuple[str, ...]
    vectors: Vectors  # (V, d)
    mean: Vectors  # (d,) of the features that taught them

    def __call__(self, text: Sequence[str]) -> Vectors | None:
        """`text`: its words, as `storage.tokens` spells them."""
        number = {word: i for i, word in enumerate(self.words)}
        known = [number[word] for word in dict.fromkeys(text) if word in number]
        if not known:
            return None
        summed = self.vectors[known].sum(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(summed))
        return None if length == 0 else (summed / length).astype(np.float32)

    def known(self, text: Sequence[str]) -> list[str]:
        """Those words that have a vector."""
        here = set(self.words)
        return [word for word in dict.fromkeys(text) if word in here]

    def scores(self, query: Vectors, features: Vectors) -> Vectors:
        """(n,): the larger, the more an image is what the text says; 0: as any image."""
        found: Vectors = ((features - self.mean) @ query).astype(np.float32)
        return found

    def arrays(self) -> dict[str, Vectors]:
        """For a file; the words are not in it."""
        return {"word_vectors": self.vectors, "word_mean": self.mean}

    @classmethod
    def of(cls, words: Sequence[str], kept: dict[str, Vectors]) -> TextVectors:
        """From `arrays`. Raises KeyError."""
        return cls(tuple(words), kept["word_vectors"], kept["word_mean"])


def teach(
    features: Vectors, wanted: Matrix | sparse.csr_array, words: Sequence[str]
) -> TextVectors:
    """(n, d) features and (n, V) answers, 1 where the post has the word. Deterministic.

    A word that the images hardly tell has a short vector, and counts for less in a sum.
    """
    found = Regression.fit(features, wanted)
    return TextVectors(
        tuple(words), found.weights.T.astype(np.float32), found.mean.astype(np.float32)
    )
