"""The replies by state, and why the oldest of each still waits there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.flow.policy import Policy
from bot.service.state.facts import AccountHealth, AccountStatus, Queue, Waiting
from storage import outbox, steps
from storage.tables import Reply, ReplyState, StepState

S = ReplyState
OPEN = tuple(state for state in ReplyState if state not in outbox.TERMINAL)


def queue(
    session: Session,
    policy: Policy,
    accounts: Mapping[str, AccountStatus],
    now: datetime,
    *,
    running: bool,
) -> Queue:
    counts = outbox.states(session)
    found = []
    for state in ReplyState:
        oldest = _oldest(session, state) if state in OPEN and counts[state] else None
        if oldest is None:
            found.append(Waiting(state, counts[state]))
            continue
        why, do = _why(session, oldest, policy, accounts.get(oldest.account), running=running)
        newest = session.exec(select(func.max(Reply.id)).where(Reply.state == state)).one()
        counted = (state, counts[state], oldest.id, oldest.created, newest)
        found.append(Waiting(*counted, why=why, do=do))
    return Queue(tuple(found))


def _oldest(session: Session, state: ReplyState) -> Reply | None:
    rows = select(Reply).where(Reply.state == state).order_by(col(Reply.id)).limit(1)
    return session.exec(rows).first()


def _why(
    session: Session, reply: Reply, policy: Policy, account: AccountStatus | None, *, running: bool
) -> tuple[str, str]:
    """Why it waits, and what a person could do about it."""
    if reply.state == S.AWAITING_APPROVAL:
        return "waits for you", f"tagecho replies approve {reply.id}"
    if reply.state == S.UNKNOWN:
        return _in_doubt(session, reply)
    if account is None:
        return f"its account {reply.account} is not in the settings any more", ""
    if not running:
        return "the service does not run", "tagecho run"
    if reply.state == S.QUEUED:
        return reply.reason or "its turn to be rendered has not come yet", ""
    if reply.state == S.APPROVED:
        return _unsent(reply, policy, account)
    return "it is being worked on", ""


def _in_doubt(session: Session, reply: Reply) -> tuple[str, str]:
    rows = steps.of_reply(session, reply.id or 0)
    unknown = [step for step in rows if step.state == StepState.UNKNOWN]
    if any(step.next_read_at is not None for step in unknown):
        return "it is being looked for on the network", ""
    return "nobody knows whether it was sent: waits for you", f"tagecho replies show {reply.id}"


def _unsent(reply: Reply, policy: Policy, account: AccountStatus) -> tuple[str, str]:
    if account.paused:
        return "paused by the operator", "tagecho resume"
    if account.health is not AccountHealth.LOGGED_IN:
        return f"account {account.name} is not logged in", account.do
    if not policy.enabled:
        return "replies are switched off", "set [replies] enabled = true"
    if account.caps.quiet_until is not None:
        return f"quiet hours until {account.caps.quiet_until:%H:%M} UTC", ""
    if not account.caps.left:
        return f"the cap of {policy.per_day} a day is reached", ""
    return reply.reason or "its turn has not come yet", ""
