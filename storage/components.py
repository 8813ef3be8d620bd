"""What hangs together: the connected components of a graph."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import chain, count
from typing import TypeVar

import numpy as np

_Node = TypeVar("_Node", bound=Hashable)


def components(pairs: Iterable[tuple[_Node, _Node]]) -> dict[_Node, int]:
    """A number for each node, the same for those that pairs connect, through others as well.

    In the order in which they first appear. A node without others: as a pair of itself.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import, and few verbs need it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = list(chain.from_iterable(pairs))
    if not ends:
        return {}
    numbers = dict(zip(dict.fromkeys(ends), count()))
    one, other = np.fromiter(map(numbers.__getitem__, ends), np.int32, len(ends)).reshape(-1, 2).T
    graph = coo_array((np.ones(len(one)), (one, other)), (len(numbers), len(numbers)))
    labels = connected_components(graph, directed=False)[1]
    return dict(zip(numbers, labels.tolist(), strict=True))
