"""How far an account has come in the stream of its network."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from storage.tables import Control


def get(session: Session, account: str) -> str | None:
    row = session.get(Control, _key(account))
    return row.value if row is not None else None


def put(session: Session, account: str, cursor: str, now: datetime) -> None:
    session.merge(Control(key=_key(account), value=cursor, changed=now))


def _key(account: str) -> str:
    return f"stream:{account}"
