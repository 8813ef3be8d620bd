"""One database by URL: SQLite (WAL) by default, PostgreSQL when it is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
    TimeoutError,
)
from sqlmodel import Session

from bot.core.errors import StorageError
from bot.core.folders import private_folder
from storage import wal
from storage.wal import WriteAheadLog

_PATIENCE = 30  # seconds a writer waits for another one
_WRITERS = 0x7A9EC40  # PostgreSQL's advisory lock of whoever writes


class Database:
    """Sessions that read and sessions that write, on one engine.

    One writer at a time, on both databases: what a `write` reads stays true until it commits, so
    "look, then insert" needs no special statement. Transactions are short and few threads write;
    letting them overlap would gain nothing.

    SQLite: a deferred transaction that reads and then writes fails at once under contention,
    whatever the timeout, so `write` begins IMMEDIATE. synchronous=FULL, because a step's row must
    survive a power cut that follows the request it announces. PostgreSQL: `write` begins with an
    advisory lock; `read` is REPEATABLE READ, which is what a SQLite reader has anyway.

    Raises StorageError when the database does not answer, is locked for too long, full or damaged.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self._wal: WriteAheadLog | None = None
        if self.sqlite and parsed.database and parsed.database != ":memory:":
            _create_private(Path(parsed.database))
            self._wal = WriteAheadLog(Path(parsed.database))
        self.engine: Engine = create_engine(
            parsed,
            pool_pre_ping=not self.sqlite,
            connect_args={"timeout": _PATIENCE} if self.sqlite else {"connect_timeout": 10},
        )
        self.writer = self.engine.execution_options(tagecho="write")
        if self.sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            self._reader = self.engine.execution_options(tagecho="read")
        else:
            event.listen(self.engine, "begin", _begin_postgres)
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; trying to write in it is an error."""
        with _translated(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on any exception."""
        with _translated():
            with Session(self.writer, expire_on_commit=False) as session, session.begin():
                yield session
            if self._wal is not None:
                self._wal.shrink(self.engine)

    def migrate(self) -> None:
        """Bring the schema to this version's. Raises StorageError when that fails.

        It is one write: of two processes that start at once, the second finds the work done.
        """
        try:
            with self.writer.begin() as connection:
                command.upgrade(alembic_config(connection), "head")
        except (SQLAlchemyError, CommandError) as error:
            raise StorageError(f"cannot migrate the database: {_first_line(error)}") from error

    def verify(self, tables: Sequence[str] = ()) -> None:
        """Read every page of these tables and of their indexes; without any, of the whole file.

        A damaged page is otherwise met only by the question that needs it, which may come late.
        Raises StorageError. PostgreSQL has checksums of its own; nothing is asked there.
        """
        if not self.sqlite:
            return
        with self.read() as session:
            for table in tables or ("",):
                check = f"PRAGMA quick_check('{table}')" if table else "PRAGMA quick_check(1)"
                said = session.connection().exec_driver_sql(check).scalar()
                if said != "ok":
                    raise StorageError(f"database is damaged: {str(said).splitlines()[-1]}")

    def close(self) -> None:
        self.engine.dispose()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings, without an ini file: the migrations travel inside the package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    # What is deleted is overwritten: some builds of SQLite leave it readable in free pages.
    kept = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
    for pragma in (*kept, f"journal_size_limit={wal.LIMIT}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    use = connection.get_execution_options().get("tagecho")
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if use == 'read' else 'OFF'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if use == "write" else "BEGIN")


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("tagecho") == "write":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")


@contextmanager
def _translated() -> Iterator[None]:
    """Troubles of the database become StorageError; mistakes of the program stay what they are."""
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError):
        raise
    except (DBAPIError, TimeoutError) as error:
        raise StorageError(f"database: {_first_line(error)}") from error


def _create_private(path: Path) -> None:
    try:
        private_folder(path.parent)
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot create the database: {error}") from error


def _first_line(error: Exception) -> str:
    """What the driver says, without its class."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
