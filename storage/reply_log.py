"""The audit of replies: each change of state with who and why. Rows are added, never changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import ReplyEvent
from storage.text import storable


def add(
    session: Session, reply_id: int, old: str, new: str, who: str, why: str, now: datetime
) -> None:
    """One change of state. `who`: a person, or the part of the service."""
    session.add(ReplyEvent(reply=reply_id, at=now, old=old, new=new, who=who, why=storable(why)))


def latest(session: Session) -> int:
    """The number of the newest change of any reply; 0: none yet."""
    return session.exec(select(func.max(ReplyEvent.id))).one() or 0


def history(session: Session, reply_id: int) -> list[ReplyEvent]:
    """Every change of a reply, oldest first."""
    statement = select(ReplyEvent).where(ReplyEvent.reply == reply_id).order_by(col(ReplyEvent.id))
    return list(session.exec(statement))
