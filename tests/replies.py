"""Replies in any state, and what the database says of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from storage import outbox, reply_log, steps
from storage.database import Database
from storage.tables import Reply, ReplyState
from tests.databases import queue_reply

S = ReplyState
HOUR = timedelta(hours=1)

DECISIONS: dict[str, Callable[[Session, int, datetime], ReplyState]] = {
    "release": lambda session, reply_id, now: outbox.release(session, reply_id, "eva", now),
    "confirm": lambda session, reply_id, now: outbox.confirm(session, reply_id, "eva", now),
    "reject": lambda session, reply_id, now: outbox.reject(session, reply_id, "eva", "", now),
}
MAY = {
    "release": {S.AWAITING_APPROVAL, S.UNKNOWN},
    "confirm": {S.UNKNOWN},
    "reject": {S.AWAITING_APPROVAL, S.APPROVED, S.UNKNOWN},
}


def put_reply(database: Database, state: ReplyState, source: str = "p1", **values: Any) -> int:
    """A reply in this state, however it may have come there."""
    with database.write() as session:
        asked = {key: values.pop(key) for key in ("account", "author_id") if key in values}
        reply_id = queue_reply(session, source, **asked)
        assert reply_id is not None
        for name, value in ({"state": state} | values).items():
            setattr(session.get_one(Reply, reply_id), name, value)
        return reply_id


def read_reply(database: Database, reply_id: int) -> Reply:
    with database.read() as session:
        return session.get_one(Reply, reply_id)


def step_states(database: Database, reply_id: int) -> dict[str, str]:
    with database.read() as session:
        return {row.kind: row.state for row in steps.of_reply(session, reply_id)}


def log(database: Database, reply_id: int) -> list[tuple[str, str, str, str]]:
    with database.read() as session:
        return [(e.old, e.new, e.who, e.why) for e in reply_log.history(session, reply_id)]
