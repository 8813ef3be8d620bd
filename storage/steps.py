"""The network writes of a reply: one row each, its token committed before the request leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select, update

from bot.core.events import Receipt
from storage import retractions
from storage.tables import Reply, ReplyState, ReplyStep, StepState
from storage.text import storable


@dataclass(frozen=True, slots=True)
class PlannedStep:
    kind: str
    token: str
    text: str
    visible: bool = True  # people see something once it is done
    leaves: str = ""  # the kind of thing that can be deleted, by the receipt's id; "" for none


def plan(
    session: Session, reply_id: int, way: int, mode: str, steps: Sequence[PlannedStep]
) -> list[ReplyStep]:
    """Write down the network writes of one way of sending; returns those already planned, if so."""
    rows = of_reply(session, reply_id, way)
    if rows:
        return rows
    rows = [
        ReplyStep(
            reply=reply_id,
            way=way,
            seq=i,
            mode=mode,
            kind=s.kind,
            token=s.token,
            text=storable(s.text),
            visible=s.visible,
            leaves=s.leaves,
        )
        for i, s in enumerate(steps)
    ]
    session.add_all(rows)
    session.flush()
    return rows


def of_reply(session: Session, reply_id: int, way: int | None = None) -> list[ReplyStep]:
    statement = select(ReplyStep).where(ReplyStep.reply == reply_id)
    if way is not None:
        statement = statement.where(ReplyStep.way == way)
    return list(session.exec(statement.order_by(col(ReplyStep.way), col(ReplyStep.seq))))


def shown(rows: Sequence[ReplyStep]) -> bool:
    """Whether something of these writes is on the network for people to see."""
    return any(step.state == StepState.DONE and step.visible for step in rows)


def visible(session: Session, reply_id: int) -> bool:
    """Whether something of this reply is on the network for people to see."""
    return shown(of_reply(session, reply_id))


def begin(session: Session, step_id: int, now: datetime) -> bool:
    """Commit this before the request leaves. False when the step is not waiting to be sent.

    `started_at` stays that of the first send: a late copy of that one must be found as well.
    """
    changed = session.exec(
        update(ReplyStep)
        .where(col(ReplyStep.id) == step_id, col(ReplyStep.state) == StepState.PLANNED)
        .values(
            state=StepState.SENDING,
            started_at=func.coalesce(ReplyStep.started_at, now),
            sends=ReplyStep.sends + 1,
            error="",
        )
    )
    return changed.rowcount == 1


def finish(session: Session, step_id: int, receipt: Receipt, now: datetime) -> None:
    row = session.get_one(ReplyStep, step_id)
    row.state, row.finished_at, row.next_read_at = StepState.DONE, now, None
    outputs = dict(receipt.outputs) | ({"url": receipt.url} if receipt.url else {})
    row.remote_id, row.outputs = storable(receipt.remote_id), storable(outputs)
    reply = session.get_one(Reply, row.reply)
    if not reply.author_id:  # forgotten while this was in the air: it is to be deleted again
        retractions.of_step(session, reply, row, now)


def refuse(session: Session, step_id: int, error: str, now: datetime) -> None:
    row = session.get_one(ReplyStep, step_id)
    row.state, row.finished_at, row.error = StepState.REFUSED, now, storable(error)


def replan(session: Session, step_id: int, why: str) -> None:
    """This write left nothing on the network: it may be sent again, with the same token."""
    row = session.get_one(ReplyStep, step_id)
    row.state, row.error, row.readings, row.next_read_at = (
        StepState.PLANNED,
        storable(why),
        [],
        None,
    )


def unsend(session: Session, step_id: int, why: str) -> None:
    """The last send was stopped before anything was applied, so the write may be sent again."""
    replan(session, step_id, why)
    row = session.get_one(ReplyStep, step_id)
    row.sends = max(0, row.sends - 1)


def postpone(session: Session, step_id: int, read_at: datetime) -> None:
    """The platform could not be read; try again at this time."""
    session.get_one(ReplyStep, step_id).next_read_at = read_at


def doubt(session: Session, step_id: int, error: str, read_at: datetime | None) -> None:
    """Mark a write as of unknown outcome. `read_at` None: no more readings, a person decides."""
    row = session.get_one(ReplyStep, step_id)
    row.state, row.error, row.next_read_at = StepState.UNKNOWN, storable(error), read_at


def note_reading(
    session: Session,
    step_id: int,
    verdict: str,
    detail: str,
    now: datetime,
    next_at: datetime | None,
) -> int:
    """Add what a look at the platform said. Returns how many readings there are."""
    row = session.get_one(ReplyStep, step_id)
    entry = {"at": now.isoformat(), "verdict": verdict, "detail": storable(detail)}
    row.readings = [*row.readings, entry]
    row.next_read_at = next_at
    return len(row.readings)


def doubtful(session: Session, account: str, now: datetime) -> list[tuple[Reply, ReplyStep]]:
    """Unknown writes of this account whose next reading is due."""
    statement = (
        select(Reply, ReplyStep)
        .join(ReplyStep, col(ReplyStep.reply) == col(Reply.id))
        .where(
            Reply.account == account,
            Reply.state == ReplyState.UNKNOWN,
            ReplyStep.state == StepState.UNKNOWN,
            col(ReplyStep.next_read_at) <= now,
        )
        .order_by(col(ReplyStep.next_read_at))
    )
    return list(session.exec(statement).all())


def step_id(step: ReplyStep) -> int:
    if step.id is None:
        raise ValueError("step has no id yet: flush first")
    return step.id
