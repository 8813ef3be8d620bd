"""A test's database is as if it had just been migrated, whatever the test before did."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, create_engine, inspect

from storage.database import Database
from storage.tables import AuthorRow, PostRow
from tests.databases import NOW, in_memory, queue_reply, rows
from tests.schemas import Schemas


@pytest.fixture
def schemas(postgres_server: URL) -> Schemas:
    return Schemas(postgres_server)


def test_a_schema_is_used_again_without_rows_and_counts_from_one(schemas: Schemas) -> None:
    seen = []
    for _ in range(2):
        with schemas.one() as url:
            database = Database(url)
            assert rows(database, PostRow) == rows(database, AuthorRow) == []
            with database.write() as session:
                seen.append((url, queue_reply(session)))
            database.close()
    schemas.drop()
    assert seen[0] == seen[1]
    assert seen[0][1] == 1


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE mine (n int)",
        "DROP INDEX ix_posts_author",
        "ALTER TABLE posts ADD mine int",
        "ALTER TABLE controls ALTER value DROP NOT NULL",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_a_schema_that_a_test_changed_is_not(schemas: Schemas, change: str) -> None:
    with schemas.one() as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            index = inspect(connection).get_indexes("posts")[0]["name"]
            connection.exec_driver_sql(change.replace("ix_posts_author", str(index)))
        engine.dispose()
    with schemas.one() as other:
        assert other != url
    schemas.drop()


def test_databases_in_memory_have_nothing_in_common() -> None:
    one, other = in_memory(), in_memory()
    with one.write() as session:
        assert queue_reply(session, now=NOW) == 1
    with other.write() as session:
        assert queue_reply(session, now=NOW) == 1
    one.close()
    other.close()
