"""What it means on a platform that something of ours is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Deletion:
    """Of one kind of thing that a write of ours leaves."""

    meaning: str  # what people see afterwards, for the operator
    lasts: timedelta | None = None  # it is gone by itself after so long; None: it stays
