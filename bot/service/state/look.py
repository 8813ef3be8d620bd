"""Reads how everything is, from what is committed and from the lock of the service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from sqlmodel import Session

from bot.config import Settings
from bot.core.errors import NetworkError, StorageError, TagechoError
from bot.schema.values import format_duration
from bot.service import presence
from bot.service.app import policy_of, tracks_of
from bot.service.state import accounts, advice, collections, tracks, waiting
from bot.service.state.facts import (
    AccountHealth,
    AccountStatus,
    Disk,
    Queue,
    Service,
    ServiceState,
    TrackStatus,
    Trouble,
)
from storage import retractions
from storage.database import Database
from storage.polls import next_polls
from storage.tables import ReplyState

FREE_BYTES = 1_000_000_000  # with less, a disk soon fills


def look(settings: Settings, database: Database, now: datetime) -> ServiceState:
    """The state at this moment. What cannot be read is a trouble, and never fine; raises nothing
    that a disk or database may cause."""
    try:
        with database.read() as session:
            return _read(settings, session, now)
    except StorageError as error:
        return unread(settings, str(error), now)


def unread(settings: Settings, error: str, now: datetime) -> ServiceState:
    """The state when the database cannot be read: of accounts and tracks nothing is known."""
    policy, why = policy_of(settings), "the database cannot be read"
    return _with_troubles(
        ServiceState(
            at=now,
            service=_service(settings),
            accounts=tuple(
                accounts.unread(settings, policy, name, why, now) for name in settings.accounts
            ),
            tracks=tuple(tracks.unread(track, why) for track in tracks_of(settings).values()),
            queue=None,
            deletions={},
            disk=_disk(settings.data.dir),
            database_error=error,
        )
    )


def as_dict(state: ServiceState) -> dict[str, Any]:
    """For JSON: texts, numbers, lists and mappings; moments in ISO 8601, spans as `15m`."""
    said = _plain(asdict(state))
    for account, plain in zip(state.accounts, said["accounts"], strict=True):
        plain["caps"]["left"] = account.caps.left
    found: dict[str, Any] = {"fine": state.fine, **said}
    if state.queue is not None:
        found["queue"] = {"total": state.queue.total, **said["queue"]}
    found["disk"]["fine"] = state.disk.fine
    found["last_error"] = found["troubles"][0] if state.troubles else None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _read(settings: Settings, session: Session, now: datetime) -> ServiceState:
    service, policy = _service(settings), policy_of(settings)
    found = {
        name: accounts.account(session, settings, policy, name, now, running=service.running)
        for name in settings.accounts
    }
    polls = next_polls(session)
    listened = tuple(
        tracks.track(session, said, found[said.account], polls, now)
        for said in tracks_of(settings).values()
    )
    return _with_troubles(
        ServiceState(
            at=now,
            service=service,
            accounts=tuple(found.values()),
            tracks=listened,
            queue=waiting.queue(session, policy, found, now, running=service.running),
            deletions=retractions.states(session),
            disk=_disk(settings.data.dir),
            collections=collections.collections(session, now, running=service.running),
        )
    )


def _with_troubles(state: ServiceState) -> ServiceState:
    troubles = [*_service_troubles(state.service)]
    troubles += _storage_troubles(state.disk, state.database_error)
    troubles += [trouble for one in state.accounts for trouble in _account_troubles(one)]
    troubles += [trouble for one in state.tracks for trouble in _track_troubles(one)]
    troubles += _reply_troubles(state.queue)
    troubles += _deletion_troubles(state.deletions.get("failed", 0))
    newest_first = sorted(troubles, key=lambda one: one.since or state.at, reverse=True)
    return replace(state, troubles=tuple(newest_first))


def _service(settings: Settings) -> Service:
    found = presence.find(settings.data.dir)
    return Service(True, found.pid, found.since) if found else Service(False)


def _disk(folder: Path) -> Disk:
    try:
        near = next((one for one in (folder, *folder.parents) if one.exists()), folder)
        return Disk(folder, shutil.disk_usage(near).free, FREE_BYTES)
    except OSError as error:
        return Disk(folder, None, FREE_BYTES, error.strerror or str(error))


def _service_troubles(service: Service) -> Iterator[Trouble]:
    if not service.running:
        yield Trouble(
            "service", "service", "it does not run", "tagecho run", None, TagechoError.exit_code
        )


def _storage_troubles(disk: Disk, error: str) -> Iterator[Trouble]:
    code = StorageError.exit_code
    if error:
        yield Trouble("database", "database", error, advice.of("StorageError"), None, code)
    if disk.error:
        yield Trouble("disk", "disk", f"{disk.folder}: {disk.error}", "", None, code)
    elif not disk.fine:
        text = f"{(disk.free or 0) / 1e9:.1f} GB free in {disk.folder}"
        yield Trouble("disk", "disk", text, "make room, or move [data] dir", None, code)


def _account_troubles(account: AccountStatus) -> Iterator[Trouble]:
    if account.health in (AccountHealth.LOGIN_FAILED, AccountHealth.WAITS_FOR_PERSON):
        topic = f"account {account.name}"
        code = account.exit_code
        yield Trouble("account", topic, account.why, account.do, account.since, code)


def _track_troubles(track: TrackStatus) -> Iterator[Trouble]:
    if track.broken:
        code = NetworkError.exit_code
        yield Trouble("track", track.label, track.why, track.do, track.since, code)


def _reply_troubles(queue: Queue | None) -> Iterator[Trouble]:
    for one in queue.states if queue else ():
        if one.state is ReplyState.UNKNOWN and one.do:
            text = f"reply {one.oldest}: {one.why}"
            yield Trouble("reply", "replies", text, one.do, one.oldest_created, 1)


def _deletion_troubles(failed: int) -> Iterator[Trouble]:
    if failed:
        text = f"{failed} failed: our replies to forgotten people are still on the network"
        do = "tagecho forget --status, then tagecho forget --retry"
        yield Trouble("deletion", "deletions", text, do, None, NetworkError.exit_code)
