"""Wrong passwords by address: after a few, the next try waits, each time twice as long."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from threading import Lock

FREE = 5  # wrong passwords before the first wait
FIRST = timedelta(seconds=10)
LONGEST = timedelta(minutes=15)
MOST = 10_000  # addresses; beyond, the oldest is forgotten


class Attempts:
    """Of one console; in memory."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, datetime]] = {}
        self._lock = Lock()

    def wait(self, address: str, now: datetime) -> timedelta:
        """How long this address must wait before its next try; zero: it may try."""
        with self._lock:
            count, last = self._failed.get(_group(address), (0, now))
        if count < FREE:
            return timedelta(0)
        pause = min(LONGEST, FIRST * (1 << min(count - FREE, 16)))
        return max(timedelta(0), last + pause - now)

    def failed(self, address: str, now: datetime) -> None:
        group = _group(address)
        with self._lock:
            count, _ = self._failed.pop(group, (0, now))
            while len(self._failed) >= MOST:
                del self._failed[next(iter(self._failed))]
            self._failed[group] = (count + 1, now)

    def worked(self, address: str) -> None:
        with self._lock:
            self._failed.pop(_group(address), None)


def _group(address: str) -> str:
    """Whoever has one address of IPv6 has the 2^64 of its network."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    if number.version == 4:
        return address
    return str(ipaddress.ip_network((number, 64), strict=False))
