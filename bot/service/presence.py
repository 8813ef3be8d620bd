"""Does the service run on this data folder? A lock says it; the kernel drops it with its holder.

Nothing has to be cleared up after a `kill -9`: what the holder wrote beside its lock is believed
only while the lock is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bot.core.errors import AccountLocked
from bot.core.files import replacing
from bot.core.folders import private_folder

PATIENCE = 2.0  # seconds: who only looks holds the lock for a moment


@dataclass(frozen=True, slots=True)
class RunningService:
    """The service that runs."""

    pid: int
    since: datetime  # aware


@contextlib.contextmanager
def present(folder: Path, now: datetime) -> Iterator[None]:
    """Be the service of this data folder. Raises AccountLocked when there is one already."""
    path = _lock(folder)
    private_folder(path.parent)
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        found = find(folder)
        pid = found.pid if found else "?"
        raise AccountLocked(f"{folder} is in use by another tagecho run (pid {pid})") from None
    try:
        with replacing(_note(folder)) as file:
            file.write(json.dumps({"pid": os.getpid(), "since": now.isoformat()}).encode())
        yield
    finally:
        _note(folder).unlink(missing_ok=True)
        lock.release()


def find(folder: Path) -> RunningService | None:
    """The service that runs on this data folder now; None when there is none."""
    if not _held(_lock(folder)):
        return None
    try:
        said = json.loads(_note(folder).read_text(encoding="utf-8"))
        return RunningService(int(said["pid"]), datetime.fromisoformat(said["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it has its lock and not yet its note, or just gave both back


def _held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look are no holders
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _lock(folder: Path) -> Path:
    return folder / "locks" / "service.lock"


def _note(folder: Path) -> Path:
    return folder / "locks" / "service.json"
