"""Collections that the running service is asked for: one row each, so that no crash loses one.

Whoever asks writes the row and reads it until it is finished; only the service works on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session, and_, col, or_, select, update

from storage.tables import CollectRequest, RequestState
from storage.text import storable

S = RequestState
OPEN = (S.WAITING, S.RUNNING)


def ask(session: Session, request: CollectRequest) -> int:
    """Put it at the end of the queue of its account. Returns its number."""
    session.add(request)
    session.flush()
    return request.id or 0


def claim(session: Session, account: str, now: datetime) -> CollectRequest | None:
    """The oldest one of this account that may run now: it runs from here on. None: none may."""
    due = (
        CollectRequest.account == account,
        CollectRequest.state == S.WAITING,
        CollectRequest.not_before <= now,
    )
    rows = select(CollectRequest).where(*due).order_by(col(CollectRequest.id)).limit(1)
    found = session.exec(rows).first()
    if found is not None:
        found.state, found.error = S.RUNNING, ""
    return found


def wanted(session: Session, number: int) -> bool:
    """Whether the one that runs is still to run: nobody cancelled it."""
    found = session.get(CollectRequest, number)
    return found is not None and found.state == S.RUNNING


def tell(session: Session, number: int, summary: Mapping[str, int], *, worked: bool) -> None:
    """How far a running one has come, in all its turns; `worked`: this turn did not fail."""
    found = session.get(CollectRequest, number)
    if found is not None and found.state == S.RUNNING:
        found.summary = dict(summary)
        found.failures = 0 if worked else found.failures


def finish(session: Session, number: int, *, complete: bool, now: datetime) -> None:
    _end(session, number, S.DONE, now, complete=complete)


def fail(session: Session, number: int, error: str, exit_code: int, now: datetime) -> None:
    _end(session, number, S.FAILED, now, error=storable(error), exit_code=exit_code)


def cancel(session: Session, number: int, now: datetime) -> None:
    _end(session, number, S.CANCELLED, now)


def hold(session: Session, number: int, until: datetime, why: str, *, failed: bool) -> None:
    """The one that runs goes on later; `failed`: that is one more failure in a row."""
    found = session.get(CollectRequest, number)
    if found is not None and found.state == S.RUNNING:
        found.state, found.not_before, found.error = S.WAITING, until, storable(why)
        found.failures += failed


def recover(session: Session, account: str) -> int:
    """After a crash: what ran waits again. Returns how many there were."""
    ran = (col(CollectRequest.account) == account, col(CollectRequest.state) == S.RUNNING)
    return int(session.exec(update(CollectRequest).where(*ran).values(state=S.WAITING)).rowcount)


def open_ones(session: Session) -> list[CollectRequest]:
    rows = select(CollectRequest).where(col(CollectRequest.state).in_(OPEN))
    return list(session.exec(rows.order_by(col(CollectRequest.id))))


def open_or_failed(session: Session, since: datetime) -> list[CollectRequest]:
    """The open ones, and those that failed since then, in the order in which they were asked."""
    failed = and_(col(CollectRequest.state) == S.FAILED, col(CollectRequest.finished) >= since)
    wanted = or_(col(CollectRequest.state).in_(OPEN), failed)
    return list(session.exec(select(CollectRequest).where(wanted).order_by(col(CollectRequest.id))))


def together(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The figures of several turns."""
    return dict(Counter(one) + Counter(other))


def _end(
    session: Session, number: int, state: RequestState, now: datetime, **values: object
) -> None:
    """What has ended stays as it ended."""
    still = (col(CollectRequest.id) == number, col(CollectRequest.state).in_(OPEN))
    session.exec(update(CollectRequest).where(*still).values(state=state, finished=now, **values))
