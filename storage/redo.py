"""A reply that is made again: a person wants another style, or another try of what failed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from bot.core.errors import UsageError
from storage import outbox, steps
from storage.tables import Reply, ReplyState, StepState
from storage.text import storable

S = ReplyState


def redo(
    session: Session, reply_id: int, style: str, by: str, now: datetime, text: str | None = None
) -> None:
    """The reply is queued again with this style; an approval of the picture before is gone.

    `text`: in place of the operator's caption, "" for that one; None: as it is.

    Raises UsageError for one that is finished, or that was begun to be sent.
    """
    reply = session.get(Reply, reply_id)
    if reply is None:
        raise UsageError(f"there is no reply {reply_id}")
    old = ReplyState(reply.state)
    if old not in (S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED):
        raise UsageError(f"reply {reply_id} is {old} and cannot be made again")
    rows = steps.of_reply(session, reply_id)
    if any(step.state != StepState.PLANNED for step in rows):
        raise UsageError(f"reply {reply_id} was begun to be sent and cannot be made again")
    for step in rows:  # their texts name the style
        session.delete(step)
    why = f"made again in the style {style}"
    reply.style = style
    if text is not None and text != reply.text:
        reply.text, why = storable(text), f"{why}, with another text"
    session.flush()
    if old is not S.QUEUED:
        _queue_again(session, reply_id, old, why, by, now)


def retry(session: Session, reply_id: int, by: str, now: datetime) -> None:
    """A reply that failed is queued again, with its time anew; a queued one is made at once.

    Raises UsageError for another one, and where people see a part of it.
    """
    reply = session.get(Reply, reply_id)
    if reply is None:
        raise UsageError(f"there is no reply {reply_id}")
    if reply.state == S.QUEUED:
        reply.not_before, reply.updated = now, now
        return
    if reply.state != S.FAILED:
        raise UsageError(f"reply {reply_id} is {reply.state}: only a failed one is tried again")
    rows = steps.of_reply(session, reply_id)
    settled = {StepState.PLANNED, StepState.REFUSED}
    if any(step.visible and step.state not in settled for step in rows):
        raise UsageError(f"a part of reply {reply_id} is on the network: it is not tried again")
    for step in rows:
        session.delete(step)
    session.flush()
    expires_at = max(reply.expires_at, now + (reply.expires_at - reply.created))
    _queue_again(session, reply_id, S.FAILED, "tried again", by, now, expires_at=expires_at)


def _queue_again(
    session: Session,
    reply_id: int,
    old: ReplyState,
    why: str,
    by: str,
    now: datetime,
    **values: Any,
) -> None:
    moved = outbox.move(
        session,
        reply_id,
        old,
        S.QUEUED,
        who=by,
        why=why,
        now=now,
        facts={},
        before_sha256=None,
        mask_sha256=None,
        after_sha256=None,
        approved_by="",
        attempts=0,
        not_before=now,
        **values,
    )
    if not moved:
        raise UsageError(f"reply {reply_id} changed meanwhile: look again")
