"""The time, as everything here reads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]  # aware, UTC


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)
