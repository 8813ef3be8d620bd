"""How the limits of accounts were used, hour by hour: what buckets and breakers forget.

All functions add to the row of the hour, in the transaction of whoever changes the bucket.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import Session

from storage.tables import LimitHour


def taken(session: Session, account: str, action: str, now: datetime, left: float) -> None:
    """A request was made; `left`: tokens after it."""
    row = _row(session, account, action, now)
    row.taken += 1
    row.fewest = left if row.fewest is None else min(row.fewest, left)


def waited(session: Session, account: str, action: str, now: datetime, seconds: float) -> None:
    """No token was left, and there will be none for so long."""
    row = _row(session, account, action, now)
    row.waits += 1
    row.waited += seconds


def paused(
    session: Session, account: str, action: str, now: datetime, until: datetime | None
) -> None:
    """The platform stopped it; `until` None: until a person looks at it."""
    row = _row(session, account, action, now)
    row.pauses += 1
    row.paused += max(0.0, (until - now).total_seconds()) if until is not None else 0.0


def _row(session: Session, account: str, action: str, now: datetime) -> LimitHour:
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    row = session.get(LimitHour, (account, action, hour))
    if row is None:
        row = LimitHour(account=account, action=action, hour=hour)
        session.add(row)
    return row
