"""What people were told last about each kind of occasion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from storage.tables import NoticeRow
from storage.text import storable


def by_kind(session: Session) -> dict[str, NoticeRow]:
    return {row.kind: row for row in session.exec(select(NoticeRow))}


def told(session: Session, kind: str, what: Mapping[str, Any], now: datetime) -> None:
    """People were told of it."""
    session.merge(NoticeRow(kind=kind, told=dict(what), told_at=now, tried_at=now))


def failed(session: Session, kind: str, error: str, now: datetime) -> None:
    """Nobody could be told."""
    row = session.get(NoticeRow, kind) or NoticeRow(kind=kind)
    row.tried_at, row.error = now, storable(error)
    session.add(row)


def over(session: Session, kind: str) -> None:
    """The occasion is over: the next one is a new one. When people were told last stays."""
    row = session.get(NoticeRow, kind)
    if row is not None:
        row.told, row.error = {}, ""
