"""How the requests of an account go to Instagram."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """Where requests go, and how patient they are.

    A read that fails for a passing reason is tried `attempts` times, a write once.
    """

    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    ca_file: Path | None = None  # trusted instead of the usual authorities
    timeout: float = 30.0  # seconds, to connect and again for the answer
    user_agent: str | None = None
    delay: tuple[float, float] = (0.0, 0.0)  # seconds between two requests, at random; not images
    attempts: int = 3
