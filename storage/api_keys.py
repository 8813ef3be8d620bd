"""Keys of the search API, and how often each was used: counted here, so a restart forgives nothing.

A key is 256 random bits, so its plain hash cannot be tried through.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlmodel import Session, col, select

from bot.core.errors import UsageError
from storage.tables import ApiKey, ApiUse

PREFIX = "tagecho_"  # scanners of leaked secrets find it


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key may still ask today."""

    limit: int
    left: int
    reset: int  # seconds until the next day, UTC


def create(session: Session, name: str, per_day: int | None, now: datetime) -> str:
    """A new key, which is told here and never again. Raises UsageError for a name in use."""
    if session.exec(select(ApiKey.id).where(ApiKey.name == name)).first() is not None:
        raise UsageError(f"there is a key {name!r}; a revoked key keeps its name")
    key = PREFIX + secrets.token_urlsafe(32)
    session.add(ApiKey(name=name, digest=_digest(key), per_day=per_day, created=now))
    session.flush()
    return key


def find(session: Session, key: str) -> ApiKey | None:
    """The row of a key that was not revoked."""
    row = session.exec(select(ApiKey).where(ApiKey.digest == _digest(key))).first()
    return row if row is not None and row.revoked is None else None


def listing(session: Session, now: datetime) -> list[tuple[ApiKey, int]]:
    """Every key with the queries of today, the oldest first."""
    keys = session.exec(select(ApiKey).order_by(col(ApiKey.id))).all()
    used = dict(session.exec(select(ApiUse.key, ApiUse.used).where(ApiUse.day == _day(now))).all())
    return [(key, used.get(key.id or 0, 0)) for key in keys]


def revoke(session: Session, name: str, now: datetime) -> None:
    """It is refused from now on; what it asked stays counted. Raises UsageError."""
    row = session.exec(select(ApiKey).where(ApiKey.name == name)).first()
    if row is None:
        known = ", ".join(session.exec(select(ApiKey.name).order_by(col(ApiKey.id))))
        raise UsageError(f"no key {name!r}; there are {known or 'none'}")
    row.revoked = row.revoked or now


def take(session: Session, key: ApiKey, per_day: int, now: datetime) -> Quota | None:
    """Count a query before it is answered; None when none is left. `per_day`: of other keys."""
    quota = quota_of(session, key, per_day, now)
    if quota.left <= 0:
        return None
    use = session.get(ApiUse, (key.id, _day(now)))
    if use is None:
        session.add(ApiUse(key=key.id or 0, day=_day(now), used=1))
    else:
        use.used += 1
    session.flush()
    return Quota(quota.limit, quota.left - 1, quota.reset)


def give_back(session: Session, key: ApiKey, taken: datetime) -> None:
    """The query that was counted then was not answered."""
    use = session.get(ApiUse, (key.id, _day(taken)))
    if use is not None:
        use.used = max(0, use.used - 1)


def quota_of(session: Session, key: ApiKey, per_day: int, now: datetime) -> Quota:
    use = session.get(ApiUse, (key.id, _day(now)))
    limit = per_day if key.per_day is None else key.per_day
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left = max(0, limit - (use.used if use else 0))
    return Quota(limit, left, ceil((midnight - now).total_seconds()))


def _day(now: datetime) -> str:
    return f"{now:%Y-%m-%d}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
