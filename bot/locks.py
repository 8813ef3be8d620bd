"""One process per account: a lock file in the data folder, and one in PostgreSQL if it is used.

The kernel drops both when the process ends, however it ends, so there is no stale lock to remove.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text

from bot.errors import AccountLocked
from storage.database import Database


@contextlib.contextmanager
def account_lock(folder: Path, database: Database, platform: str, username: str) -> Iterator[None]:
    """Hold the account, or raise AccountLocked at once and name the process that has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{platform}-{username}.lock"
    holder = path.with_suffix(".pid")
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise AccountLocked(_busy(platform, username, holder)) from None
    try:
        holder.write_text(str(os.getpid()))
        with _postgres_lock(database, platform, username):
            yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def _postgres_lock(database: Database, platform: str, username: str) -> Iterator[None]:
    """The same across machines that share a database; held by a connection of its own."""
    if database.sqlite:
        yield
        return
    digest = hashlib.sha256(f"tagecho/{platform}/{username}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with database.engine.connect() as connection:
        query = text("SELECT pg_try_advisory_lock(:key)")
        if not connection.execute(query, {"key": key}).scalar_one():
            raise AccountLocked(f"{platform}/{username} is held by a process on another machine")
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            connection.commit()


def _busy(platform: str, username: str, holder: Path) -> str:
    pid = holder.read_text() if holder.exists() else "?"
    return f"{platform}/{username} is in use by another tagecho process (pid {pid})"
