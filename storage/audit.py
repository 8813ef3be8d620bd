"""What people did in the console. Rows are added, never changed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from storage.tables import ConsoleAction
from storage.text import storable


def add(
    session: Session, who: str, address: str, action: str, target: str, outcome: str, now: datetime
) -> None:
    """One thing that somebody did. `action`: "reply approve"; `outcome`: what became of it."""
    row = {"target": storable(target), "outcome": storable(outcome)}
    session.add(ConsoleAction(at=now, who=storable(who), address=address, action=action, **row))


def newest(session: Session, limit: int, before: int | None = None) -> list[ConsoleAction]:
    """Newest first; `before`: older than the one of this number."""
    rows = select(ConsoleAction).order_by(col(ConsoleAction.id).desc()).limit(limit)
    return list(
        session.exec(rows if before is None else rows.where(col(ConsoleAction.id) < before))
    )
