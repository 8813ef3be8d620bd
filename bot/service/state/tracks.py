"""How a track is. It is ok only if a poll said so, and no poll is overdue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.core.errors import NameTaken
from bot.flow import policy
from bot.service.state import advice
from bot.service.state.facts import AccountStatus, Missing, TrackHealth, TrackStatus
from storage import gaps
from storage.tables import Gap, Health, TrackState

H = TrackHealth
_LATE = "its poll is late"
_PASSING = frozenset({"", "Unavailable", "RateLimited", "PleaseWait", "StorageError"})
GRACE = timedelta(minutes=1)  # beyond the interval and the scheduler's own jitter


def track(
    session: Session,
    said: policy.Track,
    account: AccountStatus,
    next_polls: Mapping[str, datetime],
    now: datetime,
) -> TrackStatus:
    row = session.get(TrackState, said.key)
    health, since, why = _health(row, said, account, now)
    kind, words = advice.split(row.error if row and not said.paused else "")
    changed_hands = kind == NameTaken.__name__
    coming = next_polls.get(said.key)
    return TrackStatus(
        key=said.key,
        account=said.account,
        kind=said.kind,
        name=said.name,
        every=said.every,
        dataset=said.dataset,
        reply=said.reply,
        health=health,
        since=since,
        why=f"{why}; {words}" if why and changed_hands else why or words,
        do=_accept(said) if changed_hands else advice.of(kind) if health is H.FAILING else "",
        last_poll=row.last_ok if row else None,
        next_poll=max(now, coming) if account.fine and coming and not said.paused else None,
        last_new=row.last_new if row else None,
        found=row.found if row else 0,
        last_gap=row.last_gap if row else None,
        missing=tuple(map(_missing, gaps.of_track(session, said.key))),
        late=why == _LATE,
        passing=kind in _PASSING,
    )


def unread(said: policy.Track, why: str) -> TrackStatus:
    """What can be said of a track while the database cannot be read."""
    return TrackStatus(
        key=said.key,
        account=said.account,
        kind=said.kind,
        name=said.name,
        every=said.every,
        dataset=said.dataset,
        reply=said.reply,
        health=H.NOT_POLLED,
        since=None,
        why=why,
        do="",
        last_poll=None,
        next_poll=None,
        last_new=None,
        found=0,
        last_gap=None,
        missing=(),
    )


def _health(
    row: TrackState | None, said: policy.Track, account: AccountStatus, now: datetime
) -> tuple[TrackHealth, datetime | None, str]:
    """Health, since when, and why it was not polled."""
    last = row.last_ok if row else None
    if said.paused:
        return H.PAUSED, last, ""
    if not account.fine:
        return H.NOT_POLLED, last, _waits(account)
    if row is None or row.last_attempt is None:
        return H.NOT_POLLED, None, "its first poll has not come yet"
    if row.health == Health.FAILING:
        return H.FAILING, row.failing_since, ""
    if now - (last or row.last_attempt) > said.every * 1.1 + GRACE:
        return H.NOT_POLLED, last, _LATE
    if last is None:
        return H.NOT_POLLED, None, "its first poll has not ended yet"
    return (H.QUIET if row.health == Health.QUIET else H.OK), last, ""


def _waits(account: AccountStatus) -> str:
    if account.why == "the service does not run":
        return account.why
    return f"account {account.name} is not logged in"


def _accept(said: policy.Track) -> str:
    return f"if that is meant: tagecho track accept @{said.name}"


def _missing(gap: Gap) -> Missing:
    return Missing(gap.since, gap.until, gap.found, gap.given_up, gap.error)
