"""What of ours is to be deleted on a network: one row each, so that no crash loses one.

Kind and id are the platform's own, as the write that made it said (`ReplyStep.leaves`,
`remote_id`); nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from storage.tables import Reply, ReplyStep, Retraction, StepState
from storage.text import storable


class State(StrEnum):
    WAITING = "waiting"  # not deleted yet; `attempts` counts the requests that were sent
    DONE = "done"  # deleted
    GONE = "gone"  # it was not there any more
    FAILED = "failed"  # the service stopped trying; a person is needed


def of_reply(session: Session, reply: Reply, now: datetime) -> int:
    """Plan the deletion of everything that this reply shows. Returns how many things that is."""
    steps = session.exec(
        select(ReplyStep).where(ReplyStep.reply == reply.id, ReplyStep.state == StepState.DONE)
    ).all()
    return sum(of_step(session, reply, step, now) for step in steps)


def of_step(session: Session, reply: Reply, step: ReplyStep, now: datetime) -> bool:
    """Plan the deletion of what this write made. False if it shows nothing or has no known id."""
    if not step.leaves or not step.remote_id:
        return False
    return add(session, reply.platform, reply.account, step.leaves, step.remote_id, now)


def add(
    session: Session, platform: str, account: str, kind: str, remote_id: str, now: datetime
) -> bool:
    """Plan a deletion. True, also when it was planned before."""
    asked = select(Retraction.id).where(
        Retraction.platform == platform,
        Retraction.account == account,
        Retraction.kind == kind,
        Retraction.remote_id == remote_id,
    )
    if session.exec(asked).first() is None:
        session.add(
            Retraction(
                platform=platform,
                account=account,
                kind=kind,
                remote_id=remote_id,
                not_before=now,
                created=now,
            )
        )
        session.flush()
    return True


def due(session: Session, platform: str, account: str, now: datetime) -> Retraction | None:
    """The deletion that has been due longest."""
    statement = select(Retraction).where(
        Retraction.state == State.WAITING,
        Retraction.platform == platform,
        Retraction.account == account,
        Retraction.not_before <= now,
    )
    return session.exec(
        statement.order_by(col(Retraction.not_before), col(Retraction.id)).limit(1)
    ).first()


def begin(session: Session, row_id: int, until: datetime) -> None:
    """Commit this before the request leaves: whoever comes later looks before sending again."""
    row = session.get_one(Retraction, row_id)
    row.attempts, row.not_before = row.attempts + 1, until


def postpone(
    session: Session, row_id: int, until: datetime, why: str, *, unsent: bool = False
) -> None:
    """Try again then. `unsent`: nothing was applied, and it counts as no attempt."""
    row = session.get_one(Retraction, row_id)
    row.not_before, row.error = until, storable(why)
    row.attempts -= unsent


def finish(session: Session, row_id: int, state: State, now: datetime, why: str = "") -> None:
    row = session.get_one(Retraction, row_id)
    row.state, row.finished, row.error = state.value, now, storable(why)


def again(session: Session, now: datetime) -> int:
    """A person wants those that failed to be tried again. Returns how many."""
    return session.exec(
        update(Retraction)
        .where(col(Retraction.state) == State.FAILED)
        .values(state=State.WAITING, attempts=0, not_before=now, created=now, finished=None)
    ).rowcount


def states(session: Session) -> dict[str, int]:
    """How many there are in each state, also in those without any."""
    statement = select(Retraction.state, func.count()).group_by(col(Retraction.state))
    return dict.fromkeys(State, 0) | dict(session.exec(statement).all())


def listing(session: Session, states: Iterable[State] = tuple(State)) -> list[Retraction]:
    """Oldest first."""
    wanted = col(Retraction.state).in_([state.value for state in states])
    return list(session.exec(select(Retraction).where(wanted).order_by(col(Retraction.id))))
