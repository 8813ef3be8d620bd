"""SQLite's write-ahead log, kept small while the database is open."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import Engine

LIMIT = 8 << 20  # bytes; SQLite itself copies back what was written every 4 MB
PATIENCE = 200  # milliseconds that a writer waits for the readers of older versions


class WriteAheadLog:
    """The file beside the database that every commit is appended to.

    SQLite begins it anew only when no reader needs any of it, and does not wait for that. Where
    readers overlap, the moment never comes and the file grows without end, so this waits for it,
    shortly. A reader who stays longer is waited for again only when another LIMIT has been written:
    the file grows as long as that reader stays, and shrinks with the first writes after it.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-wal")
        self._next = LIMIT

    def size(self) -> int:
        """Bytes; 0 while there is no file."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def shrink(self, engine: Engine) -> None:
        """After a commit: copy the log back into the database and empty it, if it is large."""
        size = self.size()
        if size > self._next:
            self._next = LIMIT if _emptied(engine) else size + LIMIT


def _emptied(engine: Engine) -> bool:
    """False when a reader stayed. What is committed is safe in the log, so no trouble here is the
    writer's: a full disk or a lost one is met, and said, by the next who writes."""
    with contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone() or (0,)
        try:
            cursor.execute(f"PRAGMA busy_timeout={PATIENCE}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, *_ = cursor.fetchone() or (1,)
            return bool(busy == 0)
        except sqlite3.OperationalError:
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout={usual}")
