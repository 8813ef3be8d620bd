"""A reply that is made again, because a person wants another style."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.core.errors import UsageError
from storage import outbox, steps
from storage.tables import Reply, ReplyState, StepState

S = ReplyState


def redo(session: Session, reply_id: int, style: str, by: str, now: datetime) -> None:
    """The reply is queued again with this style; an approval of the picture before is gone.

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
    reply.style = style
    session.flush()
    if old is not S.QUEUED:
        _queue_again(session, reply_id, old, f"made again in the style {style}", by, now)


def _queue_again(
    session: Session, reply_id: int, old: ReplyState, why: str, by: str, now: datetime
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
    )
    if not moved:
        raise UsageError(f"reply {reply_id} changed meanwhile: look again")
