"""Replies and their network writes: every change of state is one committed row.

The database is the queue. `move` compares and sets, so two processes cannot both take a reply.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Subquery, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, or_, select, update

from bot.core.errors import UsageError
from bot.core.events import Receipt
from storage import reply_log, steps
from storage.dataset import Stored
from storage.tables import Reply, ReplyState, ReplyStep, StepState
from storage.text import storable

# What decides whether something is sent: read as a whole before the service starts.
VITAL = ("replies", "reply_steps", "reply_events", "controls", "optouts", "retractions")

S = ReplyState
LEAST_HOLD = timedelta(seconds=1)
# What may follow what.
NEXT: Mapping[ReplyState, frozenset[ReplyState]] = {
    S.QUEUED: frozenset({S.RENDERING, S.FAILED, S.CANCELLED, S.EXPIRED}),
    S.RENDERING: frozenset(
        {S.AWAITING_APPROVAL, S.APPROVED, S.QUEUED, S.FAILED, S.CANCELLED, S.DRY_RUN}
    ),
    S.AWAITING_APPROVAL: frozenset(
        {S.APPROVED, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DRY_RUN, S.QUEUED}  # made again
    ),
    S.APPROVED: frozenset(
        {
            S.SENDING,
            S.AWAITING_APPROVAL,  # approval was switched on meanwhile
            S.QUEUED,  # made again
            S.REJECTED,
            S.EXPIRED,
            S.CANCELLED,
            S.DRY_RUN,
            S.FAILED,
        }
    ),
    S.SENDING: frozenset({S.SENT, S.UNKNOWN, S.FAILED, S.APPROVED}),
    S.UNKNOWN: frozenset({S.SENT, S.APPROVED, S.REJECTED}),
    S.REJECTED: frozenset({S.AWAITING_APPROVAL}),  # a person took it back
    S.FAILED: frozenset({S.QUEUED}),  # a person wants another try
}
# Where the service leaves a reply. Of these, only a person takes the two above back.
TERMINAL = frozenset({S.SENT, S.FAILED, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DRY_RUN})
_WAITING = (S.QUEUED, S.RENDERING, S.AWAITING_APPROVAL, S.APPROVED)  # nothing has left yet
# Those that used up a place under the caps: something of them is, or may be, on the network.
COUNTED = (S.SENDING, S.SENT, S.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Request:
    """A reply that a stored post asked for."""

    source: Stored
    account: str
    track: str
    trigger: str  # how it asked: mention | usertag | opt-in | track
    style: str
    media_index: int  # of the image to answer with
    seed: int
    expires_at: datetime


def queue(session: Session, request: Request, now: datetime) -> int | None:
    """The one reply of this account to this post; None when there is one already."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    post = request.source.post
    statement = (
        insert(Reply)
        .values(
            platform=post.platform,
            account=request.account,
            source_post=post.post_id,
            source_url=storable(post.url),
            post=request.source.row,
            author_id=post.author.user_id,
            track=request.track,
            trigger=request.trigger,
            style=request.style,
            text="",
            media_index=request.media_index,
            seed=request.seed,
            state=S.QUEUED,
            reason="",
            created=now,
            updated=now,
            expires_at=request.expires_at,
            not_before=now,
            approved_by="",
            mode="",
            url="",
            attempts=0,
            facts={},
        )
        .on_conflict_do_nothing(index_elements=["platform", "account", "source_post"])
        .returning(col(Reply.id))
    )
    reply_id = session.exec(statement).scalar_one_or_none()
    if reply_id is None:
        return None
    reply_log.add(session, reply_id, "", S.QUEUED, "trigger", request.trigger, now)
    return int(reply_id)


def move(
    session: Session,
    reply_id: int,
    old: ReplyState,
    new: ReplyState,
    *,
    who: str,
    why: str = "",
    now: datetime,
    **values: Any,
) -> bool:
    """Take a reply from one state to the next, if it is still in the first. Other columns by name.

    Raises ValueError for a step the states do not allow: that is a mistake in the program.
    """
    if new not in NEXT.get(old, frozenset()):
        raise ValueError(f"a reply never goes from {old} to {new}")
    changed = session.exec(
        update(Reply)
        .where(col(Reply.id) == reply_id, col(Reply.state) == old)
        .values(state=new, reason=storable(why), updated=now, **values)
    )
    if changed.rowcount != 1:
        return False
    reply_log.add(session, reply_id, old, new, who, why, now)
    return True


def hold(session: Session, reply_id: int, until: datetime, why: str, now: datetime) -> None:
    """Keep a reply where it is until then, and say why; no event, since nothing changed.

    One that reached its end meanwhile keeps the reason it ended for. Whoever holds again and again
    still rests: `until` is at least `LEAST_HOLD` from now.
    """
    until = max(until, now + LEAST_HOLD)
    session.exec(
        update(Reply)
        .where(col(Reply.id) == reply_id, col(Reply.state).not_in(TERMINAL))
        .values(not_before=until, reason=storable(why), updated=now)
    )


def due(
    session: Session,
    state: ReplyState,
    now: datetime,
    account: str | None = None,
    limit: int = 1,
    *,
    newest: bool = False,
) -> list[Reply]:
    """Replies in this state whose time has come: oldest first, or `newest`.

    What was begun to be sent comes before either: it may be half out.
    """
    statement = select(Reply).where(Reply.state == state, Reply.not_before <= now)
    if account is not None:
        statement = statement.where(Reply.account == account)
    order: list[Any] = [col(Reply.id)]
    if newest:
        order = [col(Reply.sending_at).is_(None), col(Reply.id).desc()]
    return list(session.exec(statement.order_by(*order).limit(limit)))


@dataclass(frozen=True, slots=True)
class Room:
    """How many replies may be rendered ahead: in all, and to one author; `today` began then."""

    total: int
    per_author: int
    today: datetime


def next_to_render(
    session: Session, account: str, room: Room, now: datetime, *, newest: bool = False
) -> Reply | None:
    """The queued reply that may go out first; None when there is none, or no room for it.

    Whoever has the fewest replies ready or sent today comes first, then who asked first; with
    `newest`, who asked last.
    """
    used = _used(account, room.today)
    if session.exec(select(func.coalesce(func.sum(used.c.used), 0))).one() >= room.total:
        return None
    taken = func.coalesce(used.c.used, 0)
    statement = (
        select(Reply)
        .outerjoin(used, col(Reply.author_id) == used.c.author_id)
        .where(*_queued(account, now), taken < room.per_author)
    )
    order = (col(Reply.id).desc(),) if newest else (taken, col(Reply.id))
    return session.exec(statement.order_by(*order).limit(1)).first()


def image_came(session: Session, posts: Collection[int], why: str, now: datetime) -> None:
    """Queued replies to these posts that wait for this reason become due now."""
    waiting = (col(Reply.state) == S.QUEUED, col(Reply.reason) == why, col(Reply.not_before) > now)
    session.exec(update(Reply).where(col(Reply.post).in_(posts), *waiting).values(not_before=now))


def hold_queued(session: Session, account: str, until: datetime, why: str, now: datetime) -> int:
    """Look at the queued replies that are due again at this time. Returns how many there were."""
    held = update(Reply).where(*_queued(account, now))
    return int(session.exec(held.values(not_before=until, reason=why, updated=now)).rowcount)


def _queued(account: str, now: datetime) -> tuple[Any, ...]:
    return (
        col(Reply.account) == account,
        col(Reply.state) == S.QUEUED,
        col(Reply.not_before) <= now,
    )


def _used(account: str, today: datetime) -> Subquery:
    """By author: replies that are rendered and wait, or that count for today's caps."""
    ready = col(Reply.state).in_((S.AWAITING_APPROVAL, S.APPROVED))
    gone = col(Reply.state).in_(COUNTED) & (col(Reply.sending_at) >= today)
    return (
        select(col(Reply.author_id), func.count().label("used"))
        .where(col(Reply.account) == account, or_(ready, gone))
        .group_by(col(Reply.author_id))
        .subquery()
    )


def sent_since(
    session: Session, account: str, since: datetime, author_id: str | None = None
) -> int:
    """How many replies of this account left, or may have left, since then.

    Whatever became of the reply: once something of it is, or may be, to be seen, it counts.
    """
    to_be_seen = (
        select(ReplyStep.id)
        .where(
            ReplyStep.reply == Reply.id,
            col(ReplyStep.state).in_((StepState.DONE, StepState.UNKNOWN)),
            col(ReplyStep.visible),
        )
        .exists()
    )
    statement = select(func.count()).where(
        Reply.account == account,
        col(Reply.sending_at) >= since,
        or_(col(Reply.state).in_(COUNTED), to_be_seen),
    )
    if author_id is not None:
        statement = statement.where(Reply.author_id == author_id)
    return session.exec(statement).one()


def recover(session: Session, account: str, now: datetime) -> dict[str, int]:
    """After a crash: renders go back to the queue, writes in the air become unknown.

    Call it while holding the account's lock, before any worker starts.
    """
    renders = session.exec(
        select(Reply).where(Reply.account == account, Reply.state == S.RENDERING)
    ).all()
    for reply in renders:
        move(session, _id(reply), S.RENDERING, S.QUEUED, who="start", why="interrupted", now=now)
    sending = list(
        session.exec(select(Reply).where(Reply.account == account, Reply.state == S.SENDING))
    )
    for reply in sending:
        interrupted(session, reply, now)
    return {"requeued": len(renders), "unsettled": len(sending)}


def release(session: Session, reply_id: int, by: str, now: datetime) -> ReplyState:
    """A person approves: a waiting reply may be sent; a reply of unknown outcome is sent again."""
    reply = _get(session, reply_id)
    old = ReplyState(reply.state)
    if old not in (S.AWAITING_APPROVAL, S.UNKNOWN):
        raise UsageError(
            f"reply {reply_id} is {old}: only awaiting_approval and unknown can be approved"
        )
    values: dict[str, Any] = {"approved_by": by, "not_before": now}
    if old is S.UNKNOWN:
        unknown = [s for s in steps.of_reply(session, reply_id) if s.state == StepState.UNKNOWN]
        if any(step.next_read_at is not None for step in unknown):
            raise UsageError(
                f"reply {reply_id} is still being looked for on the network: wait for that"
            )
        for step in unknown:
            steps.replan(session, _id(step), f"{by} saw that it is not there")
        # It may have waited for a person longer than a reply lives: it gets its time again.
        values["expires_at"] = max(reply.expires_at, now + (reply.expires_at - reply.created))
    moved = move(session, reply_id, old, S.APPROVED, who=by, why="approved", now=now, **values)
    _must(moved, reply_id)
    return S.APPROVED


def reject(session: Session, reply_id: int, by: str, why: str, now: datetime) -> ReplyState:
    """A person rejects: nothing is sent. A reply of unknown outcome is given up as it is."""
    reply = _get(session, reply_id)
    old = ReplyState(reply.state)
    if S.REJECTED not in NEXT.get(old, frozenset()):
        raise UsageError(f"reply {reply_id} is {old} and can no longer be rejected")
    _must(
        move(session, reply_id, old, S.REJECTED, who=by, why=why or "rejected", now=now), reply_id
    )
    return S.REJECTED


def cancel(session: Session, reply_id: int, by: str, why: str, now: datetime) -> ReplyState:
    """A person wants no reply to this post, whether its image is made already or not."""
    reply = _get(session, reply_id)
    old = ReplyState(reply.state)
    if old not in _WAITING:
        raise UsageError(f"reply {reply_id} is {old} and can no longer be cancelled")
    if steps.visible(session, reply_id):
        raise UsageError(f"a part of reply {reply_id} is on the network: it cannot be cancelled")
    why = why or "cancelled by a person"
    _must(move(session, reply_id, old, S.CANCELLED, who=by, why=why, now=now), reply_id)
    return S.CANCELLED


def confirm(session: Session, reply_id: int, by: str, now: datetime) -> ReplyState:
    """A person saw a write of unknown outcome on the network: it is done; the rest is sent."""
    reply = _get(session, reply_id)
    if reply.state != S.UNKNOWN:
        raise UsageError(f"reply {reply_id} is {reply.state}: only unknown ones can be confirmed")
    for step in steps.of_reply(session, reply_id):
        if step.state == StepState.UNKNOWN:
            steps.finish(session, steps.step_id(step), Receipt(remote_id=""), now)
    why = f"{by} saw it on the network"
    _must(
        move(session, reply_id, S.UNKNOWN, S.APPROVED, who=by, why=why, now=now, not_before=now),
        reply_id,
    )
    return S.APPROVED


def unhold(session: Session, account: str | None, now: datetime) -> None:
    """Approved replies of this account (None: of all accounts) are due at once."""
    statement = update(Reply).where(col(Reply.state) == S.APPROVED, col(Reply.not_before) > now)
    if account is not None:
        statement = statement.where(col(Reply.account) == account)
    session.exec(statement.values(not_before=now))


def expire(session: Session, now: datetime) -> int:
    """End replies that waited too long: nothing is sent after its time."""
    waiting = (S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED)
    rows = session.exec(
        select(Reply).where(col(Reply.state).in_(waiting), Reply.expires_at <= now)
    ).all()
    done = 0
    for reply in rows:
        if steps.visible(session, _id(reply)):
            continue  # half sent: the rest follows, an expiry would leave it in pieces
        done += move(
            session,
            _id(reply),
            ReplyState(reply.state),
            S.EXPIRED,
            who="clock",
            why="waited too long",
            now=now,
        )
    return done


def cancel_waiting(
    session: Session,
    platform: str,
    *,
    source_post: str | None = None,
    author_id: str | None = None,
    why: str,
    now: datetime,
) -> int:
    """Cancel what has not left yet for a deleted post or a person who opted out."""
    statement = select(Reply).where(Reply.platform == platform, col(Reply.state).in_(_WAITING))
    if source_post is not None:
        statement = statement.where(Reply.source_post == source_post)
    if author_id is not None:
        statement = statement.where(Reply.author_id == author_id)
    return sum(
        move(session, _id(r), ReplyState(r.state), S.CANCELLED, who="flow", why=why, now=now)
        for r in session.exec(statement).all()
    )


def states(session: Session) -> dict[str, int]:
    """Replies by state, every state named."""
    found = dict(session.exec(select(Reply.state, func.count()).group_by(col(Reply.state))).all())
    return {state.value: found.get(state.value, 0) for state in ReplyState}


def listing(
    session: Session, state: str | None = None, account: str | None = None, limit: int = 50
) -> list[Reply]:
    statement = select(Reply)
    if state is not None:
        statement = statement.where(Reply.state == state)
    if account is not None:
        statement = statement.where(Reply.account == account)
    return list(session.exec(statement.order_by(col(Reply.id).desc()).limit(limit)))


def interrupted(session: Session, reply: Reply, now: datetime) -> None:
    """Its sending ended between `steps.begin` and the answer, or between two steps."""
    reply_id = _id(reply)
    rows = steps.of_reply(session, reply_id)
    for step in rows:
        if step.state == StepState.SENDING:
            steps.doubt(session, _id(step), "interrupted while this was being sent", now)
    if any(step.state == StepState.UNKNOWN for step in rows):
        move(session, reply_id, S.SENDING, S.UNKNOWN, who="start", why="interrupted", now=now)
    else:
        move(
            session,
            reply_id,
            S.SENDING,
            S.APPROVED,
            who="start",
            why="interrupted",
            now=now,
            not_before=now,
        )


def _get(session: Session, reply_id: int) -> Reply:
    reply = session.get(Reply, reply_id)
    if reply is None:
        raise UsageError(f"there is no reply {reply_id}")
    return reply


def _must(moved: bool, reply_id: int) -> None:
    if not moved:
        raise UsageError(f"reply {reply_id} changed meanwhile: look again")


def _id(row: Reply | ReplyStep) -> int:
    if row.id is None:
        raise ValueError("row has no id yet: flush first")
    return row.id
