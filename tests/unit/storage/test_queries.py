"""What runs at every poll and in every worker's round uses indexes, however much is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlmodel import Session

from storage import dataset, outbox, reply_log, steps
from storage.database import Database
from storage.dataset import Fetched
from storage.tables import (
    AuthorRow,
    MediaRow,
    MediaState,
    PostRow,
    Reply,
    ReplyState,
    ReplyStep,
    StepState,
)
from tests.databases import NOW, make_post, queue_reply

MANY = 100_000
PAGE = [f"p{n}" for n in range(0, MANY, MANY // 33)]
LATE = NOW + timedelta(days=2)

QUERIES: dict[str, Callable[[Session], Any]] = {
    "known": lambda s: dataset.known(s, "instagram", PAGE),
    "add": lambda s: dataset.add(s, make_post("new"), [image("new")], NOW),
    "see": lambda s: dataset.see(s, 1, make_post("p0", caption="edited"), NOW),
    "found_by": lambda s: dataset.found_by(s, 1, "t", "d", "", NOW),
    "pending_media": lambda s: dataset.pending_media(s, "instagram", 16, 5),
    "due": lambda s: outbox.due(s, ReplyState.APPROVED, NOW, "main"),
    "due of any account": lambda s: outbox.due(s, ReplyState.QUEUED, NOW),
    "sent_since": lambda s: outbox.sent_since(s, "main", NOW),
    "sent_since of an author": lambda s: outbox.sent_since(s, "main", NOW, "u1"),
    "doubtful": lambda s: steps.doubtful(s, "main", NOW),
    "expire": lambda s: outbox.expire(s, LATE),
    "recover": lambda s: outbox.recover(s, "main", NOW),
    "cancel_waiting": lambda s: outbox.cancel_waiting(
        s, "instagram", source_post="p1", why="gone", now=NOW
    ),
    "unhold": lambda s: outbox.unhold(s, "main", NOW),
    "of_reply": lambda s: steps.of_reply(s, 1),
    "history": lambda s: reply_log.history(s, 1),
}


def image(post_id: str) -> Fetched:
    return Fetched(make_post(post_id).media[0], MediaState.STORED, "a" * 64, 1, "image/jpeg")


@contextmanager
def watched(database: Database) -> Iterator[list[str]]:
    """The plan of every statement that runs inside, a line per table."""
    plans: list[str] = []

    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            looking = cursor.connection.cursor()
            looking.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in looking.fetchall())

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """100,000 posts with an image and, of every tenth, a reply sent long ago."""
    path: Path = tmp_path_factory.mktemp("full") / "tagecho.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.write() as session:
        first = dataset.add(session, make_post("p0"), [image("p0")], NOW)
        reply_id = queue_reply(session, "p0")
        assert reply_id is not None
        steps.plan(session, reply_id, 0, "post", [steps.PlannedStep("post", "token", "")])
        session.flush()
        post, media, author, reply, step = (
            session.get_one(table, key).model_dump()
            for table, key in (
                (PostRow, first),
                (MediaRow, 1),
                (AuthorRow, ("instagram", "u1")),
                (Reply, reply_id),
                (ReplyStep, 1),
            )
        )
        old = {"state": ReplyState.SENT, "sending_at": NOW - timedelta(days=9)}
        numbers, replied = range(2, MANY + 1), range(2, MANY // 10)
        people = ({"user_id": f"u{n}", "username": f"name{n}"} for n in range(2, 1000))
        rows: list[tuple[Any, list[dict[str, Any]]]] = [
            (AuthorRow, [author | person for person in people]),
            (PostRow, [post | {"id": n, "post_id": f"p{n}"} for n in numbers]),
            (MediaRow, [media | {"id": n, "post": n} for n in numbers]),
            (Reply, [reply | old | {"id": n, "source_post": f"p{n}"} for n in replied]),
            (ReplyStep, [step | {"id": n, "reply": n, "state": StepState.DONE} for n in replied]),
        ]
        for table, values in rows:
            session.execute(insert(table), values)
    yield database
    database.close()


class Undo(Exception):
    """Rolls a transaction back."""


def run_undone(database: Database, query: Callable[[Session], Any]) -> float:
    """Milliseconds it took; nothing of it stays."""
    began = time.perf_counter()
    with pytest.raises(Undo), database.write() as session:
        query(session)
        session.flush()
        raise Undo
    return (time.perf_counter() - began) * 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_no_table_is_read_from_end_to_end(full: Database, name: str) -> None:
    with watched(full) as plans:
        run_undone(full, QUERIES[name])
    milliseconds = min(run_undone(full, QUERIES[name]) for _ in range(5))
    print(f"{name}: {milliseconds:.2f} ms with {MANY:,} posts", *plans, sep="\n    ")
    assert plans
    # One platform or one account may be all there is: narrowing to that is reading everything.
    everything = ("(platform=?)", "(account=?)")
    assert [p for p in plans if p.startswith("SCAN") or p.endswith(everything)] == []
