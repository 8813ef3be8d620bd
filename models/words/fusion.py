"""Several rankings into one: reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009).

Scores of different searches cannot be compared, ranks can. What stands high in several lists comes
first; what only one list has keeps its place there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

DAMPING = 60.0  # of the paper: how little the first ranks differ

_Thing = TypeVar("_Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Fused(Generic[_Thing]):
    thing: _Thing
    score: float  # the sum of 1 / (DAMPING + rank)
    ranks: dict[str, int]  # by the name of the list, from 1


def fused(lists: Mapping[str, Sequence[_Thing]]) -> list[Fused[_Thing]]:
    """Best first; equal scores in the order of the first list that has them."""
    ranks: dict[_Thing, dict[str, int]] = {}
    for name, things in lists.items():
        for rank, thing in enumerate(things, 1):
            ranks.setdefault(thing, {}).setdefault(name, rank)
    found = [
        Fused(thing, sum(1 / (DAMPING + rank) for rank in places.values()), places)
        for thing, places in ranks.items()
    ]
    return sorted(found, key=lambda one: -one.score)
