"""A person takes back what they just said of a reply: it waits for approval again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from bot.core.errors import UsageError
from storage import outbox, reply_log, steps
from storage.tables import Reply, ReplyState, StepState

S = ReplyState


def undo(session: Session, reply_id: int, by: str, now: datetime) -> None:
    """An approval or a rejection of theirs is undone, if nothing happened since.

    Raises UsageError where something did: it was begun to be sent, somebody else decided, its time
    is over.
    """
    reply = session.get(Reply, reply_id)
    if reply is None:
        raise UsageError(f"there is no reply {reply_id}")
    old = ReplyState(reply.state)
    if old not in (S.APPROVED, S.REJECTED):
        raise UsageError(f"reply {reply_id} is {old}: there is nothing to take back")
    latest = reply_log.history(session, reply_id)[-1]
    if latest.old not in (S.AWAITING_APPROVAL, S.APPROVED) or latest.who != by:
        raise UsageError(
            f"{latest.who} made reply {reply_id} {latest.new}: {by} cannot take it back"
        )
    if any(step.state != StepState.PLANNED for step in steps.of_reply(session, reply_id)):
        raise UsageError(f"reply {reply_id} was begun to be sent: too late to take it back")
    if reply.expires_at <= now or reply.after_sha256 is None:
        raise UsageError(f"reply {reply_id} waited too long, or its image is gone")
    moved = outbox.move(
        session,
        reply_id,
        old,
        S.AWAITING_APPROVAL,
        who=by,
        why="taken back",
        now=now,
        approved_by="",
    )
    if not moved:
        raise UsageError(f"reply {reply_id} changed meanwhile: look again")
