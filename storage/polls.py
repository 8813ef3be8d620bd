"""When the scheduler polls each track next, as its own table says."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import inspect, text
from sqlmodel import Session

JOBS_TABLE = "apscheduler_jobs"  # APScheduler's own; outside Alembic


def next_polls(session: Session) -> dict[str, datetime]:
    """By track key. Empty while no service ever ran here."""
    if not inspect(session.connection()).has_table(JOBS_TABLE):
        return {}
    rows = session.connection().execute(
        text(f"SELECT id, next_run_time FROM {JOBS_TABLE} WHERE next_run_time IS NOT NULL")  # noqa: S608 - our own name
    )
    return {key: datetime.fromtimestamp(at, UTC) for key, at in rows}
