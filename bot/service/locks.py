"""One process per account: in the data folder, on this machine, and in PostgreSQL if it is used.

The lock in the data folder holds whatever the account's proxy is. The one of the machine is for two
data folders with the same account; another proxy leads to another network, as a rehearsal's does.
The kernel drops both when the process ends, however it ends, so there is no stale lock to remove.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.core.errors import AccountLocked, StorageError
from bot.core.folders import private_folder
from storage.database import Database

Check = Callable[[], None]  # raises StorageError when the lock was lost


@contextlib.contextmanager
def account_lock(
    folder: Path, database: Database, platform: str, username: str, proxy: str = ""
) -> Iterator[Check]:
    """Hold the account, or raise AccountLocked at once and name the process that has it.

    Gives a function that raises StorageError when PostgreSQL dropped its part of the lock, as it
    does when it restarts: another machine may have the account then.
    """
    who = f"{platform}/{username}"
    name = hashlib.sha256("\n".join((platform, username, proxy)).encode()).hexdigest()
    with (
        file_lock(folder / f"{platform}-{username}.lock", who),
        file_lock(machine_folder() / f"{name}.lock", who),
        _postgres_lock(database, who) as check,
    ):
        yield check


@contextlib.contextmanager
def file_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file, or raise AccountLocked at once and name the process that has it."""
    private_folder(path.parent)
    holder = path.with_suffix(".pid")
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        pid = holder.read_text(encoding="utf-8") if holder.exists() else "?"
        raise AccountLocked(f"{what} is in use by another tagecho process (pid {pid})") from None
    try:
        holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def machine_folder() -> Path:
    """Where all processes of this user on this machine look for each other's locks.

    Not in XDG_RUNTIME_DIR: that is emptied when the user logs out, and the service goes on. Where
    the user has no home that can be written, as in a container, it is below the temporary folder.
    """
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    for folder in (Path(home).expanduser() / "tagecho" / "locks", _temporary()):
        with contextlib.suppress(OSError):
            private_folder(folder)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return folder
    raise StorageError(f"no folder of our own for locks: neither {home} nor {_temporary()}")


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"tagecho-{os.getuid()}"


@contextlib.contextmanager
def _postgres_lock(database: Database, who: str) -> Iterator[Check]:
    """The same across machines that share a database; held by a connection of its own."""
    if database.sqlite:
        yield lambda: None
        return
    digest = hashlib.sha256(f"tagecho/{who}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(database.engine.connect())
        query = text("SELECT pg_try_advisory_lock(:key)")
        if not connection.execute(query, {"key": key}).scalar_one():
            raise AccountLocked(f"{who} is held by a process on another machine")
        connection.commit()

        def check() -> None:
            try:
                connection.execute(text("SELECT 1"))
                connection.commit()
            except SQLAlchemyError as error:
                raise StorageError(f"the database dropped the lock of {who}") from error

        def unlock() -> None:
            with contextlib.suppress(SQLAlchemyError):  # gone with its connection already
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                connection.commit()

        stack.callback(unlock)
        yield check
