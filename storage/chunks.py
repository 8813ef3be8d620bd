"""Many names in several statements: a database takes only so many parameters at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

CHUNK = 500

_Thing = TypeVar("_Thing")


def chunks(things: Sequence[_Thing]) -> Iterator[Sequence[_Thing]]:
    """Consecutive parts, each with at most CHUNK of them; none of an empty sequence."""
    for start in range(0, len(things), CHUNK):
        yield things[start : start + CHUNK]
