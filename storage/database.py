"""One database by URL: SQLite (WAL) by default, PostgreSQL when it is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from bot.errors import StorageError

# Taken by every process that migrates, so that two starting at once do not both create tables.
_MIGRATION_LOCK = 0x7A9EC40


class Database:
    """Sessions that read and sessions that write, on one engine.

    SQLite: a deferred transaction that reads and then writes fails at once under contention,
    whatever the timeout, so `write` begins IMMEDIATE. synchronous=FULL, because a step's row must
    survive a power cut that follows the request it announces.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite and parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            Path(parsed.database).touch(mode=0o600)
        self.engine: Engine = create_engine(
            parsed,
            pool_pre_ping=not self.sqlite,
            connect_args={"timeout": 30} if self.sqlite else {},
        )
        if self.sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(tagecho_write=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on any exception."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema to this version's. Raises StorageError when that fails."""
        try:
            with self._writer.begin() as connection:
                if not self.sqlite:
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                command.upgrade(alembic_config(connection), "head")
        except SQLAlchemyError as error:
            raise StorageError(f"cannot migrate the database: {_first_line(error)}") from error

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
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("tagecho_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
