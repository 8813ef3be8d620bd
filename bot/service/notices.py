"""Who is told when something needs a person: at most once an hour of each kind, never at night.

What is told is read from the state, so a notice, `tagecho status` and the metrics agree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.net.notices import Delivery, send
from bot.service.state import AccountHealth, AccountStatus, ServiceState, TrackHealth, TrackStatus
from storage import notices
from storage.database import Database
from storage.tables import NoticeRow, ReplyState

log = structlog.get_logger()
LEAST = timedelta(hours=1)  # between two notices of a kind
AGAIN = timedelta(days=1)  # what lasts and is known is told again
RETRY = timedelta(minutes=5)  # after a notice that nobody took
PATIENCE = timedelta(minutes=10)  # what passes by itself within it is told to nobody
_FOR_A_PERSON = ("ChallengeRequired", "AccountSuspended")

Send = Callable[[Sequence[str], str, str, Sequence[str]], list[Delivery]]


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something to tell. It is a new one when it has a member or a mark that was not told."""

    kind: str
    title: str
    lines: tuple[str, ...]
    members: tuple[str, ...] = ()
    mark: int = field(default=0)

    @property
    def body(self) -> str:
        return "\n".join(self.lines)

    def what(self) -> dict[str, Any]:
        return {"members": list(self.members), "mark": self.mark}

    def is_new(self, told: dict[str, Any]) -> bool:
        known = set(told.get("members", ()))
        return bool(set(self.members) - known) or self.mark > told.get("mark", 0)


def occasions(state: ServiceState) -> Iterator[Occasion]:
    """What there is to tell, one for each kind at most."""
    waiting = next(
        (w for w in (state.queue.states if state.queue else ()) if w.state == _AWAITING), None
    )
    if waiting is not None and waiting.count:
        one = "1 reply waits" if waiting.count == 1 else f"{waiting.count} replies wait"
        yield Occasion("replies", f"{one} for you", (waiting.do,), mark=waiting.newest or 0)
    logins = [one for one in state.accounts if _fails(one, state.at)]
    asked = [one for one in logins if one.kind in _FOR_A_PERSON]
    yield from _accounts("challenge", "waits for a person", asked)
    yield from _accounts("login", "cannot log in", [one for one in logins if one not in asked])
    tracks = [track for track in state.tracks if _fails_long(track, state.at)]
    if tracks:
        names = ", ".join(track.label for track in tracks)
        lines = tuple(f"{track.label}: {track.why}. {track.do}".strip() for track in tracks)
        yield Occasion("track", f"not collected: {names}", lines, tuple(t.key for t in tracks))
    stores = [one for one in state.troubles if one.kind in ("disk", "database")]
    if stores:
        lines = tuple(f"{one.text}. {one.do}" for one in stores)
        kinds = tuple(one.kind for one in stores)
        yield Occasion("disk", f"{stores[0].kind}: {stores[0].text}", lines, kinds)


_AWAITING = ReplyState.AWAITING_APPROVAL


def _accounts(kind: str, what: str, found: Sequence[AccountStatus]) -> Iterator[Occasion]:
    if found:
        names = ", ".join(account.name for account in found)
        lines = tuple(f"{one.name} ({one.username}): {one.why}. {one.do}" for one in found)
        members = tuple(f"{one.name}:{one.kind}" for one in found)
        yield Occasion(kind, f"account {names} {what}", lines, members)


def _fails(account: AccountStatus, now: datetime) -> bool:
    if account.health is AccountHealth.WAITS_FOR_PERSON:
        return True
    lasts = account.since is not None and now - account.since >= PATIENCE
    return account.health is AccountHealth.LOGIN_FAILED and lasts


def _fails_long(track: TrackStatus, now: datetime) -> bool:
    """Not the single failure that the next poll makes good."""
    if not track.broken:
        return False
    lasts = track.since is not None and now - track.since >= max(PATIENCE, 2 * track.every)
    return lasts or (track.health is TrackHealth.FAILING and bool(track.do) and not track.passing)


class Notices:
    """The notices of one service. `look` belongs to one thread; what it sends, to another."""

    def __init__(self, database: Database, send: Send = send) -> None:
        self._database = database
        self._send = send
        self._sending: threading.Thread | None = None

    def look(self, state: ServiceState, settings: Settings) -> None:
        """Tell what is due, in a thread of its own. Raises StorageError."""
        said = settings.notices
        if not said.services or not said.on or self._busy():
            return
        found = {one.kind: one for one in occasions(state) if one.kind in said.on}
        with self._database.read() as session:
            rows = notices.by_kind(session)
        self._forget(rows, found)
        quiet = said.quiet_hours
        if quiet and quiet.until(state.at, ZoneInfo(settings.replies.time_zone)):
            return
        due = [one for one in found.values() if _due(one, rows.get(one.kind), state.at)]
        if due:
            self._sending = threading.Thread(
                target=self._tell, args=(due, settings), name="notices", daemon=True
            )
            self._sending.start()

    def close(self, patience: float = 5.0) -> None:
        """Wait for what is being sent, but not for long."""
        if self._sending is not None:
            self._sending.join(patience)

    def _busy(self) -> bool:
        return self._sending is not None and self._sending.is_alive()

    def _forget(self, rows: dict[str, NoticeRow], found: dict[str, Occasion]) -> None:
        over = [kind for kind, row in rows.items() if row.told and kind not in found]
        if over:
            with self._database.write() as session:
                for kind in over:
                    notices.over(session, kind)

    def _tell(self, due: list[Occasion], settings: Settings) -> None:
        said = settings.notices
        for one in due:
            done = self._send(said.services, f"tagecho: {one.title}", one.body, said.own_hosts)
            failed = [f"{each.service}: {each.error}" for each in done if each.error]
            try:
                with self._database.write() as session:
                    if len(failed) < len(done):  # somebody knows
                        notices.told(session, one.kind, one.what(), utc_now())
                    else:
                        notices.failed(session, one.kind, "; ".join(failed), utc_now())
            except StorageError as error:
                log.error("notice not recorded", kind=one.kind, error=str(error))
            for text in failed:
                log.warning("notice failed", kind=one.kind, error=text)
            if len(failed) < len(done):
                log.info("notice sent", kind=one.kind, services=len(done) - len(failed))


def _due(one: Occasion, row: NoticeRow | None, now: datetime) -> bool:
    if row is None:
        return True
    if row.error and row.tried_at is not None and now - row.tried_at < RETRY:
        return False
    if row.told_at is None:
        return True
    if now - row.told_at < LEAST:
        return False
    return one.is_new(row.told) or now - row.told_at >= AGAIN
