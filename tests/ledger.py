"""A `Ledger` without a database."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.events import Breaker
from bot.platforms.pacing import merged, refill


@dataclass
class MemoryLedger:
    """Lives as long as the test."""

    _buckets: dict[tuple[str, str], tuple[float, datetime]] = field(default_factory=dict)
    _breakers: dict[tuple[str, str], Breaker] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, account: str, action: str, *, now: datetime, rate: float, burst: int) -> float:
        with self._lock:
            tokens, at = self._buckets.get((account, action), (float(burst), now))
            tokens = refill(tokens, (now - at).total_seconds(), rate, burst)
            if tokens < 1.0:
                return (1.0 - tokens) / rate
            self._buckets[account, action] = (tokens - 1.0, now)
            return 0.0

    def state(self, account: str, action: str) -> Breaker:
        with self._lock:
            return self._breakers.get((account, action), Breaker())

    def trip(
        self, account: str, action: str, breaker: Breaker, *, at: datetime | None = None
    ) -> None:
        with self._lock:
            old = self._breakers.get((account, action), Breaker())
            self._breakers[account, action] = merged(old, breaker)

    def close(self, account: str, action: str) -> None:
        with self._lock:
            self._breakers.pop((account, action), None)

    def breakers(self, account: str) -> Mapping[str, Breaker]:
        with self._lock:
            return {action: b for (owner, action), b in self._breakers.items() if owner == account}
