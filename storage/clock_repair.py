"""Stored times that lie ahead of now: the clock was ahead when they were written.

What happened cannot lie in the future. Where it does, by so much the clock was ahead, and what was
to happen at a certain time is meant that much earlier: else nothing is polled, sent or tried again
until the clock has caught up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from storage.tables import (
    BreakerRow,
    Bucket,
    Control,
    Gap,
    LearningRun,
    Reply,
    ReplyStep,
    Retraction,
    TrackState,
)

TOLERANCE = timedelta(minutes=1)  # the clocks of two machines, a step of a time server
CORRECTED = "clock"  # control key: by how much, and when it was set right
# What happened. Reading the largest of each costs little: few rows, or an index.
_EVIDENCE = (TrackState.last_attempt, Bucket.updated, LearningRun.started)
_PAST = (
    (TrackState, ("last_attempt", "last_ok", "last_new", "failing_since")),
    (Bucket, ("updated",)),
    (LearningRun, ("started",)),
)
_FUTURE = (
    (Reply, "not_before"),
    (ReplyStep, "next_read_at"),
    (Retraction, "not_before"),
    (Gap, "not_before"),
    (BreakerRow, "open_until"),
)


def ahead(session: Session, now: datetime) -> timedelta | None:
    """By how much the clock was ahead when it was last used; None when it was right."""
    latest = [session.exec(select(func.max(column))).one() for column in _EVIDENCE]
    most = max((moment for moment in latest if moment is not None), default=now) - now
    return most if most > TOLERANCE else None


def set_back(session: Session, now: datetime, by: timedelta) -> None:
    """What happened "later" is dated now; what waits keeps its waiting time."""
    for table, names in _PAST:
        for name in names:
            column = getattr(table, name)
            session.exec(update(table).where(col(column) > now).values({name: now}))
    for waiting, name in _FUTURE:
        for row in session.exec(select(waiting).where(col(getattr(waiting, name)) > now)):
            setattr(row, name, max(now, getattr(row, name) - by))
    whole = timedelta(seconds=round(by.total_seconds()))
    session.merge(Control(key=CORRECTED, value=str(whole), changed=now))


def corrected(session: Session) -> Control | None:
    """When the stored times were last set right, and by how much."""
    return session.get(Control, CORRECTED)
