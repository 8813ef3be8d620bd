"""Where a poll broke off before it came to what was known, and how far the way back has come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import Gap, PostRow, PostTrack


def begin(session: Session, track: str, cursor: str, until: datetime | None, now: datetime) -> None:
    """Posts older than `until` were not listed, down to the newest one that this track knows."""
    since = session.exec(
        select(func.max(PostRow.taken_at))
        .join(PostTrack, col(PostTrack.post) == col(PostRow.id))
        .where(PostTrack.track == track, col(PostRow.taken_at) <= now)
    ).one()
    session.add(
        Gap(track=track, cursor=cursor, since=since, until=until, opened=now, not_before=now)
    )


def due(session: Session, tracks: Collection[str], now: datetime) -> Gap | None:
    """The newest gap of these tracks that may be read now: old cursors are lost first anyway."""
    statement = select(Gap).where(
        col(Gap.track).in_(tracks), col(Gap.given_up).is_(False), Gap.not_before <= now
    )
    return session.exec(statement.order_by(col(Gap.id).desc()).limit(1)).first()


def of_track(session: Session, track: str) -> list[Gap]:
    return list(session.exec(select(Gap).where(Gap.track == track).order_by(col(Gap.id))))
