"""The kill switch, and the pause of a single account."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from storage.tables import Control

ALL = "pause"  # control key of the kill switch; "pause:ACCOUNT" stops one account


def paused(session: Session, account: str) -> bool:
    """Whether this account must not write: because of its own pause, or of everybody's."""
    keys = (ALL, _key(account))
    return any((row := session.get(Control, key)) is not None and row.value == "on" for key in keys)


def all_paused(session: Session) -> bool:
    """Whether the kill switch is on."""
    row = session.get(Control, ALL)
    return row is not None and row.value == "on"


def changed(session: Session) -> datetime | None:
    """When a pause was switched last; None: never."""
    rows = select(func.max(Control.changed)).where(col(Control.key).startswith(ALL))
    return session.exec(rows).one()


def switch(session: Session, account: str | None, *, on: bool, now: datetime) -> None:
    """Pause one account, or with None all of them; or end that pause."""
    session.merge(Control(key=_key(account), value="on" if on else "off", changed=now))


def _key(account: str | None) -> str:
    return ALL if account is None else f"{ALL}:{account}"
