"""Schemas of a PostgreSQL server for tests: migrated once, emptied and used again."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, MetaData, Table, create_engine

from storage.database import Database


class Schemas:
    """Migrated schemas of a PostgreSQL server, each for one test at a time."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._free: list[tuple[str, contextlib.ExitStack]] = []

    @contextmanager
    def one(self) -> Iterator[str]:
        """The URL of a schema with all tables, and no rows but those of the migrations."""
        url, stack = self._free.pop() if self._free else self._another()
        yield url
        engine = create_engine(url)
        with engine.begin() as connection:
            same = _emptied(connection) == self._shape
            if same:
                self._written.into(connection)
        engine.dispose()
        if same:
            self._free.append((url, stack))
        else:  # the test was about migrations, or made a table of its own
            stack.close()

    def _another(self) -> tuple[str, contextlib.ExitStack]:
        stack = contextlib.ExitStack()
        url = stack.enter_context(schema(self._server))
        database = Database(url)
        database.migrate()
        with database.engine.begin() as connection:
            self._shape = _shape(connection)
            self._written = _Rows(connection)
        database.close()
        return url, stack

    def drop(self) -> None:
        """All that are free; those in use are dropped by their tests."""
        while self._free:
            self._free.pop()[1].close()


# Everything that a migration, or a test, may make: tables with their columns, indexes, constraints,
# sequences, triggers, functions.
_CATALOGUE = """
SELECT 'c', c.relname, c.relkind::text, a.attname, a.attnum || format_type(a.atttypid, a.atttypmod)
    || a.attnotnull || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'k', conrelid::regclass::text, contype::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
UNION ALL SELECT 't', t.tgrelid::regclass::text, t.tgenabled::text, t.tgname, ''
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
UNION ALL SELECT 'f', proname, '', '', md5(prosrc) FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace
UNION ALL SELECT 'v', version_num, '', '', '' FROM alembic_version
"""


def _shape(connection: Connection) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(row) for row in connection.exec_driver_sql(_CATALOGUE))


class _Rows:
    """What the migrations themselves write: that an index is whole, for one."""

    def __init__(self, connection: Connection) -> None:
        self._controls = Table("controls", MetaData(), autoload_with=connection)
        self._rows = [dict(row) for row in connection.execute(self._controls.select()).mappings()]

    def into(self, connection: Connection) -> None:
        if self._rows:
            connection.execute(self._controls.insert(), self._rows)


def _emptied(connection: Connection) -> frozenset[tuple[str, ...]]:
    """Remove all rows, and count from 1 again. Returns what the schema consists of."""
    say = connection.exec_driver_sql
    shape = _shape(connection)
    names = {row[1] for row in shape if row[0] == "c" and row[2] == "r"} - {"alembic_version"}
    if not names:
        return shape
    looks = " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in sorted(names)
    )
    if full := [row[0] for row in say(looks)]:
        say(f"TRUNCATE {', '.join(full)} CASCADE")
    used = "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"
    for row in say(f"{used} AND last_value IS NOT NULL").all():
        say(f"ALTER SEQUENCE {row[0]} RESTART")
    return shape


@contextmanager
def schema(server: URL) -> Iterator[str]:
    """The URL of a new schema without tables, dropped with everything in it at the end."""
    name = f"tagecho_{secrets.token_hex(6)}"
    # A lost server loses the test anyway: waiting for its disk at every commit proves nothing.
    options = f"-csearch_path={name} -csynchronous_commit=off"
    inside = server.update_query_dict({"options": options})
    administer(server, f"CREATE SCHEMA {name}")
    try:
        yield inside.render_as_string(hide_password=False)
    finally:
        administer(server, f"DROP SCHEMA {name} CASCADE")


def administer(server: URL, statement: str) -> None:
    """One statement outside of any transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
