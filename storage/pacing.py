"""Token buckets and circuit breakers in the database: the pacing of an account outlives a restart.

Keeps the `Ledger` protocol of `bot.platforms.pacing`, which this package does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session, select

from bot.core import events
from storage import limit_hours
from storage.database import Database
from storage.tables import BreakerRow, Bucket
from storage.text import storable


class DatabaseLedger:
    """Every method is one transaction, so it is atomic and may be called from any thread.

    Times are aware. Raises StorageError.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, account: str, action: str, *, now: datetime, rate: float, burst: int) -> float:
        """Take one token of a bucket that gains `rate` tokens a second and holds `burst` at most.

        Returns 0.0 when a token was taken, else the seconds until there is one. A clock that went
        backwards adds no tokens, and the bucket goes on filling from the new time.
        """
        with self._database.write() as session:
            bucket = session.get(Bucket, (account, action))
            if bucket is None:
                bucket = Bucket(account=account, action=action, tokens=burst, updated=now)
                session.add(bucket)
            elapsed = max(0.0, (now - bucket.updated).total_seconds())
            tokens = min(float(burst), bucket.tokens + elapsed * rate)
            if tokens < 1.0:
                bucket.updated = min(bucket.updated, now)
                wait = (1.0 - tokens) / rate
                limit_hours.waited(session, account, action, now, wait)
                return wait
            bucket.tokens, bucket.updated = tokens - 1.0, now
            limit_hours.taken(session, account, action, now, left=bucket.tokens)
            return 0.0

    def state(self, account: str, action: str) -> events.Breaker:
        """The breaker, or `Breaker()` when there is none."""
        with self._database.read() as session:
            return _value(session.get(BreakerRow, (account, action)))

    def trip(
        self, account: str, action: str, breaker: events.Breaker, *, at: datetime | None = None
    ) -> None:
        """Add to what was there: a pause gets no shorter, a latch stays, failures do not shrink.

        `at`: when it came to it, for the figures; None if nothing new happened.
        """
        with self._database.write() as session:
            row = session.get(BreakerRow, (account, action))
            if row is None:
                row = BreakerRow(account=account, action=action)
                session.add(row)
            pauses = [until for until in (row.open_until, breaker.open_until) if until is not None]
            row.open_until = max(pauses, default=None)
            row.failures = max(row.failures, breaker.failures)
            if breaker.latched or not row.latched:  # why a person is needed is not overwritten
                row.reason = storable(breaker.reason)
            row.latched = row.latched or breaker.latched
            if at is not None:
                limit_hours.paused(session, account, action, at, breaker.open_until)

    def close(self, account: str, action: str) -> None:
        """Forget the breaker and its failures, latched or not."""
        with self._database.write() as session:
            row = session.get(BreakerRow, (account, action))
            if row is not None:
                session.delete(row)

    def breakers(self, account: str) -> Mapping[str, events.Breaker]:
        """All breakers of an account that have a history, by action."""
        with self._database.read() as session:
            return {row.action: _value(row) for row in _rows(session, account)}


def _rows(session: Session, account: str) -> list[BreakerRow]:
    return list(session.exec(select(BreakerRow).where(BreakerRow.account == account)))


def _value(row: BreakerRow | None) -> events.Breaker:
    if row is None:
        return events.Breaker()
    return events.Breaker(row.open_until, row.failures, row.latched, row.reason)
