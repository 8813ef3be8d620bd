"""The schema: what migrations make is what the models say, whoever runs them and how often."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

import storage.tables  # noqa: F401 - fills the metadata
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from storage import datasets, retractions, search, snapshots, steps
from storage.database import Database, alembic_config
from storage.tables import Reply
from tests.databases import BACKENDS
from tests.schemas import schema
from tests.waiting import PATIENCE

MIGRATE = """
import sys
from storage.database import Database
print("ready", flush=True)
sys.stdin.readline()
database = Database(sys.argv[1])
database.migrate()
database.close()
"""


def no_full_text(_object: object, name: str | None, *_: object) -> bool:
    """What makes text searchable differs between the databases and is in no model."""
    return not (name or "").startswith(("search_fts", "ix_search_texts_document"))


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_migrations_make_exactly_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {
            "compare_type": True,
            "render_as_batch": database.sqlite,
            "include_object": no_full_text,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    assert set(SQLModel.metadata.tables) <= tables(database)


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = tables(database)
    database.migrate()
    assert tables(database) == before


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tagecho.db'}"
    else:
        with schema(request.getfixturevalue("postgres_server")) as url:
            yield url


def test_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MIGRATE, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    database = Database(empty_url)
    assert set(SQLModel.metadata.tables) <= tables(database)
    database.close()


def test_the_schedulers_table_is_left_alone(database: Database) -> None:
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=database.engine)}
    )
    scheduler.start(paused=True)
    scheduler.add_job(print, "interval", hours=1, id="poll")
    database.migrate()
    assert scheduler.get_job("poll") is not None
    scheduler.shutdown()
    assert "apscheduler_jobs" in tables(database)
    with database.engine.connect() as connection:
        command.check(alembic_config(connection))  # raises when a migration would be missing


def test_jobs_that_name_the_former_path_are_dropped(database: Database) -> None:
    store = SQLAlchemyJobStore(engine=database.engine)
    scheduler = BackgroundScheduler(jobstores={"default": store})
    scheduler.start(paused=True)
    scheduler.add_job(print, "interval", hours=1, id="poll")
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0005")
    scheduler.add_job(print, "interval", hours=1, id="poll", replace_existing=True)
    database.migrate()
    assert scheduler.get_job("poll") is None
    scheduler.shutdown()


def test_down_and_up_again(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert tables(database) - {"alembic_version"} == set()
    database.migrate()
    assert set(SQLModel.metadata.tables) <= tables(database)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="cannot migrate"):
        database.migrate()


OLD = """
INSERT INTO authors VALUES ('instagram', 'u1', 'Ana', '', false, '{day}', '{later}');
INSERT INTO author_names VALUES ('instagram', 'u1', 'Ana', '{day}');
INSERT INTO author_names VALUES ('instagram', 'u1', 'anna', '{day}');
INSERT INTO post_hashtags VALUES (1, 'fun'), (1, 'ｃａｆé'), (2, 'sunset'), (3, 'streetwear');
INSERT INTO post_mentions (post, media_index, username, user_id) VALUES (2, -1, 'old', '');
INSERT INTO post_revisions (post, seen_at, field, old, new)
    VALUES (2, '{day}', 'caption', '"#sunset @old"', '"#hoodie @new"');
INSERT INTO post_tracks VALUES
    (1, 'main:hashtag:ｃａｆé', 'mine', '{day}', ''),
    (2, 'main:hashtag:sunset', 'sunset', '{day}', '');
INSERT INTO label_scores VALUES (1, 'fun', 'combined', 0.1, 'm', '{day}');
INSERT INTO track_states (track, health, error, polls, found)
    VALUES ('main:hashtag:ｃａｆé', 'ok', '', 1, 1);
INSERT INTO datasets
    VALUES ('d', '{{"version": 1, "any_hashtags": ["ｃａｆé"]}}', '{day}', '{day}');
"""
POST = """
INSERT INTO posts (id, platform, post_id, author_id, url, caption, pinned, taken_at, first_seen,
    last_seen, content_hash, raw)
    VALUES ({n}, 'instagram', 'p{n}', 'u1', '', '{caption}', false,
    '{day}', '{day}', '{day}', '', '{{}}');
"""


def test_rows_in_former_spellings_are_brought_to_the_normal_form(database: Database) -> None:
    day, later = "2026-03-01 12:00:00", "2026-03-02 12:00:00"
    captions = ["#fun🎉 ＃ｃａｆé", "#sunset @old", ""]
    posts = [POST.format(n=n, caption=c, day=day) for n, c in enumerate(captions, 1)]
    with database.writer.begin() as connection:
        command.downgrade(alembic_config(connection), "0006")
        for statement in ["".join(posts), OLD.format(day=day, later=later)]:
            for one in filter(str.strip, statement.split(";")):
                connection.exec_driver_sql(one)
    database.migrate()

    def rows(query: str) -> list[tuple[object, ...]]:
        with database.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    hashtags = rows("SELECT post, hashtag FROM post_hashtags ORDER BY post, hashtag")
    assert hashtags == [(1, "café"), (1, "fun🎉"), (2, "hoodie"), (3, "streetwear")]
    assert rows("SELECT username FROM post_mentions") == [("new",)]
    assert rows("SELECT post, track FROM post_tracks") == [(1, "main:hashtag:café")]
    assert rows("SELECT track FROM track_states") == [("main:hashtag:café",)]
    assert rows("SELECT * FROM label_scores") == []
    names = rows("SELECT username, normal, last_seen > first_seen FROM author_names ORDER BY 2")
    assert [(name, normal, bool(seen)) for name, normal, seen in names] == [
        ("Ana", "ana", True),
        ("anna", "anna", False),
    ]
    with database.read() as session:
        query = datasets.find(session, "d")
        assert query is not None
        assert query.any_hashtags == ("café",)
        for words, found in (("#hoodie", [2]), ("#sunset", []), ("fun🎉", [1])):
            assert [hit.post for hit in search.posts(session, search.parse(words))] == found
    with database.writer.begin() as connection:
        command.downgrade(alembic_config(connection), "0006")
    database.migrate()
    assert rows("SELECT post, hashtag FROM post_hashtags ORDER BY post, hashtag") == hashtags


def test_manifests_of_renamed_datasets_keep_their_hash(database: Database) -> None:
    """Whoever kept a manifest, or its hash, can still check the snapshot."""
    names = {1: "cafe\u0301", 2: "hoodies"}
    facts = {"query": {"version": 1}, "seed": 0, "splits": {"all": 1.0}, "models": {}}
    hashes = {}
    with database.writer.begin() as connection:
        command.downgrade(alembic_config(connection), "0006")
        for number, name in names.items():
            head = (
                '{"created":"2026-01-01T00:00:00+00:00","dataset":"%s","items":0,"manifest":1,'
                '"models":{},"query":{"version":1},"seed":0,"snapshot":"1","splits":{"all":1.0}}\n'
            )
            hashes[number] = hashlib.sha256((head % name).encode()).hexdigest()
            row = {
                "id": number, "dataset": name, "name": "1", "query": "{}", "items": 0,
                "facts": json.dumps(facts), "manifest_sha256": hashes[number],
                "created": "2026-01-01 00:00:00+00:00",
            }  # fmt: skip
            insert(connection, "snapshots", row)
    database.migrate()
    with database.read() as session:
        found = {row.id: row for row in snapshots.listing(session)}
    assert {number: row.dataset for number, row in found.items()} == {1: "café", 2: "hoodies"}
    for number, row in found.items():
        lines = b"".join(snapshots.manifest(database, row))
        assert hashlib.sha256(lines).hexdigest() == hashes[number or 0]


KINDS = ("upload", "post", "story", "dm_text", "dm_upload", "dm_photo", "comment")


def old_reply(connection: Connection) -> None:
    """A reply of version 0007 with a write of every kind that there was, all done."""
    now = "2026-01-01 00:00:00+00:00"
    reply = {
        "id": 1, "platform": "instagram", "account": "main", "source_post": "77", "source_url": "u",
        "author_id": "5", "track": "t", "trigger": "mention", "style": "tint", "media_index": 0,
        "seed": 1, "state": "sent", "reason": "", "mode": "dm", "url": "", "approved_by": "",
        "attempts": 0, "facts": "{}", "created": now, "updated": now, "expires_at": now,
        "not_before": now,
    }  # fmt: skip
    insert(connection, "replies", reply)
    for seq, kind in enumerate(KINDS):
        thread = '{"thread_id": "9"}' if kind == "dm_text" else "{}"
        row = {
            "reply": 1, "way": 0, "seq": seq, "mode": "dm", "kind": kind, "token": f"t{seq}",
            "text": "", "state": "done", "sends": 1, "remote_id": f"{seq}", "outputs": thread,
            "error": "", "readings": "[]",
        }  # fmt: skip
        insert(connection, "reply_steps", row)


def insert(connection: Connection, table: str, row: dict[str, object]) -> None:
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def test_old_steps_keep_what_their_kind_meant(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0007")
        old_reply(connection)
    database.migrate()
    with database.read() as session:
        rows = {row.kind: row for row in steps.of_reply(session, 1)}
    found = {kind: (row.visible, row.leaves, row.remote_id) for kind, row in rows.items()}
    assert found == {
        "upload": (False, "", "0"),
        "post": (True, "post", "1"),
        "story": (True, "story", "2"),
        "dm_text": (True, "dm", "9/3"),
        "dm_upload": (False, "", "4"),
        "dm_photo": (True, "", "5"),  # nobody knows its thread: it cannot be deleted, as before
        "comment": (True, "comment", "77/6"),
    }
    with database.write() as session:
        reply = session.get_one(Reply, 1)
        assert retractions.of_reply(session, reply, utc_now()) == 4
        asked = [(row.kind, row.remote_id) for row in retractions.listing(session)]
    assert asked == [("post", "1"), ("story", "2"), ("dm", "9/3"), ("comment", "77/6")]
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0007")
        ids = connection.execute(text("SELECT remote_id FROM reply_steps ORDER BY seq")).scalars()
        assert list(ids) == [str(seq) for seq in range(len(KINDS))]
