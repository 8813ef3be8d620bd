"""`tagecho keys`: who may ask the search API, and how often."""

from __future__ import annotations

from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.service.app import opened
from storage import api_keys

LONGEST = 60  # characters of a name


def create(settings: Settings, name: str, per_day: int | None = None) -> str:
    """A new key; nobody can read it again. `per_day`: free queries, else those of [console].

    Raises UsageError.
    """
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise UsageError(f"{name[:LONGEST]!r} is no name of a key")
    with opened(settings) as app, app.database.write() as session:
        return api_keys.create(session, name.strip(), per_day, utc_now())


def listing(settings: Settings) -> list[dict[str, Any]]:
    """Every key, the oldest first, with what it asked today."""
    with opened(settings) as app, app.database.read() as session:
        return [
            {
                "name": key.name,
                "per_day": settings.console.queries_per_day if key.per_day is None else key.per_day,
                "used_today": used,
                "created": key.created,
                "revoked": key.revoked,
            }
            for key, used in api_keys.listing(session, utc_now())
        ]


def revoke(settings: Settings, name: str) -> None:
    """Refuse a key from now on. Raises UsageError."""
    with opened(settings) as app, app.database.write() as session:
        api_keys.revoke(session, name, utc_now())
