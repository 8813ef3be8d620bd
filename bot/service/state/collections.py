"""The collections that the service was asked for, and how far each is."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from bot.service.state import advice
from bot.service.state.facts import CollectionStatus, label
from storage import collect_requests
from storage.tables import CollectRequest, RequestState

TOLD = timedelta(days=1)  # so long a failed one is shown


def collections(session: Session, now: datetime, *, running: bool) -> tuple[CollectionStatus, ...]:
    """The open ones, and those that failed of late."""
    found = collect_requests.open_or_failed(session, since=now - TOLD)
    return tuple(_collection(row, now, running=running) for row in found)


def _collection(row: CollectRequest, now: datetime, *, running: bool) -> CollectionStatus:
    ended = row.state == RequestState.FAILED
    held = not ended and row.not_before > now
    return CollectionStatus(
        number=row.id or 0,
        account=row.account,
        label=label(row.kind, row.name) or row.name,
        # What a service worked on that is gone goes on when it runs again.
        state=row.state if running or ended else RequestState.WAITING.value,
        asked=row.created,
        asked_by=row.asked_by,
        listed=row.summary.get("listed", 0),
        new=row.summary.get("new", 0),
        most=row.most,
        next_turn=row.not_before if running and held else None,
        why=_why(row, held=held, running=running or ended),
    )


def _why(row: CollectRequest, *, held: bool, running: bool) -> str:
    if not running:
        return "the service does not run"
    told = row.error if held or row.state == RequestState.FAILED else ""
    return advice.split(told)[1]
