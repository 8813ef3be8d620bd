"""Databases for tests: every test that asks for `database` runs on SQLite and on PostgreSQL.

Migrating costs more than most tests do, so it is done once: on SQLite the file is copied, on
PostgreSQL a schema is emptied and used again (tests/schemas.py). The server is looked for at
TAGECHO_TEST_POSTGRES (a URL; then it must answer) or on 127.0.0.1:5432. Where
TAGECHO_EXPECT_POSTGRES is set, as .ci/run does for CI, its absence is a failure.

    python -m tests.databases       says which server the tests would use; 1 if one is missing
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from bot.core.events import Author, Media, Post
from bot.core.folders import private_folder
from storage import outbox
from storage.database import Database
from storage.dataset import Stored
from tests.schemas import Schemas
from tests.waiting import PATIENCE

USUAL = tuple(f"postgresql+psycopg://{user}@127.0.0.1:5432/test" for user in ("postgres", "root"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKENDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="session")
def postgres_server() -> URL:
    """A PostgreSQL database in which schemas may be created; skips where there may be none."""
    server, problem = find_server(os.environ)
    if server is not None:
        return server
    if is_expected(os.environ):
        pytest.fail(problem, pytrace=False)
    pytest.skip(problem)


def find_server(environ: Mapping[str, str]) -> tuple[URL | None, str]:
    """A server that answers, or why there is none."""
    named = environ.get("TAGECHO_TEST_POSTGRES")
    problems = []
    for text in [named] if named else USUAL:
        url = make_url(text)
        problem = _why_silent(url)
        if problem is None:
            return url, ""
        problems.append(problem)
    return None, f"no PostgreSQL server: {problems[0]}"


def is_expected(environ: Mapping[str, str]) -> bool:
    """Whether tests that need a server may not be skipped."""
    return bool(environ.get("TAGECHO_TEST_POSTGRES") or environ.get("TAGECHO_EXPECT_POSTGRES"))


@pytest.fixture(scope="session")
def postgres_schemas(postgres_server: URL) -> Iterator[Schemas]:
    """Migrated schemas, for one test after the other."""
    schemas = Schemas(postgres_server)
    yield schemas
    schemas.drop()


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database without rows."""
    with migrated(request.param, request, tmp_path) as url:
        yield url


@pytest.fixture
def open_database(database_url: str) -> Iterator[Callable[[], Database]]:
    """Opens further connections to the test's database, as another process would."""
    opened: list[Database] = []

    def another() -> Database:
        opened.append(Database(database_url))
        return opened[-1]

    yield another
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    """A migrated database."""
    return open_database()


@contextmanager
def migrated(backend: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of a migrated database of this backend; skips where there is no server."""
    if backend == "sqlite":
        yield sqlite_in(folder)
    else:
        with request.getfixturevalue("postgres_schemas").one() as url:
            yield url


def sqlite_in(folder: Path) -> str:
    """The URL of a migrated database in `folder`, which is made."""
    private_folder(folder)
    path = folder / "tagecho.db"
    path.touch(0o600)
    path.write_bytes(_migrated_file())
    return f"sqlite:///{path}"


def in_memory() -> Database:
    """A migrated database that lives no longer than its object; of one thread."""
    database = Database("sqlite://")
    with database.engine.connect() as connection:
        # Bytes 18 and 19 say that there is a write-ahead log, which nothing in memory can have.
        header, rest = _migrated_file()[:18] + b"\1\1", _migrated_file()[20:]
        connection.connection.dbapi_connection.deserialize(header + rest)
    return database


@functools.cache
def _migrated_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tagecho.db"
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Run them at the same time, each on a thread; their results, or the first one's error."""
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        start.wait(PATIENCE)
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


def make_post(post_id: str = "p1", **changes: Any) -> Post:
    """A post of user u1 ("ann") with one image, taken an hour before NOW."""
    post = Post(
        platform="instagram",
        post_id=post_id,
        author=Author("instagram", "u1", "ann"),
        taken_at=NOW - timedelta(hours=1),
        url=f"https://www.instagram.com/p/{post_id}/",
        media=(Media(0, f"https://media.example/{post_id}.jpg"),),
    )
    return replace(post, **changes)


def rows(database: Database, table: type[Any]) -> list[Any]:
    with database.read() as session:
        return list(session.exec(select(table)))


def queue_reply(session: Session, source_post: str = "p1", **changes: Any) -> int | None:
    """Queue a reply of account main to a post of user u1 that is stored nowhere."""
    asked: dict[str, Any] = {
        "account": "main",
        "track": "hashtag:sunset",
        "trigger": "mention",
        "style": "tint",
        "media_index": 0,
        "seed": 7,
        "expires_at": NOW + timedelta(days=1),
    }
    now = changes.pop("now", NOW)
    row = changes.pop("post", None)  # None: as when the post was forgotten since
    platform = changes.pop("platform", "instagram")
    author = Author(platform, changes.pop("author_id", "u1"), "ann")
    url = changes.pop("source_url", f"https://www.instagram.com/p/{source_post}/")
    post = make_post(source_post, platform=platform, author=author, url=url)
    request = outbox.Request(Stored(row, post), **(asked | changes))
    return outbox.queue(session, request, now)


def _why_silent(url: URL) -> str | None:
    engine = create_engine(url, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except OperationalError as error:
        return str(error).splitlines()[0]
    finally:
        engine.dispose()
    return None


def main() -> int:
    server, problem = find_server(os.environ)
    print(server or problem)
    return int(server is None and is_expected(os.environ))


if __name__ == "__main__":
    sys.exit(main())
