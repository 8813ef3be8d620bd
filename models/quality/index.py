"""Find the hashes that are near one: an exact scan of all, one millisecond per million.

Lookups by parts of the hash do not help: 18 of 64 bits is so far that they would read most of the
table anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.quality.phash import NEAR, distances


class HashIndex:
    """Ids with their hashes, 16 bytes each, in memory."""

    def __init__(self) -> None:
        self._ids = np.empty(0, np.int64)
        self._hashes = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, ids: Sequence[int], hashes: Sequence[int]) -> None:
        """Add a hash, or replace the one with the same id."""
        if not len(ids):
            return
        every = np.concatenate([np.array(ids, np.int64), self._ids])
        values = np.concatenate([np.array(hashes, np.int64), self._hashes])
        self._ids, first = np.unique(every, return_index=True)
        self._hashes = values[first]

    def near(self, phash: int, most: int, within: int = NEAR) -> list[int]:
        """Ids of the hashes at most `within` bits away, nearest first; no more than `most`."""
        away = distances(phash, self._hashes)
        here = np.flatnonzero(away <= within)
        nearest = here[np.argsort(away[here], kind="stable")[:most]]
        return [int(i) for i in self._ids[nearest]]
