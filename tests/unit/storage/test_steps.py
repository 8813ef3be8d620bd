"""The network writes of a reply: planned once, begun once, one token from first to last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

from bot.core.events import Receipt
from storage import outbox, steps
from storage.database import Database
from storage.steps import PlannedStep
from storage.tables import ReplyState, ReplyStep, StepState
from tests.databases import NOW, queue_reply, together

S = ReplyState
POST = [
    PlannedStep("upload", "token-1", "", visible=False),
    PlannedStep("post", "token-2", "a caption"),
    PlannedStep("comment", "token-3", "a comment"),
]


def planned(database: Database, source: str = "p1") -> list[int]:
    with database.write() as session:
        reply_id = queue_reply(session, source)
        assert reply_id is not None
        return [steps.step_id(row) for row in steps.plan(session, reply_id, 0, "post", POST)]


def read(database: Database, step_id: int) -> ReplyStep:
    with database.read() as session:
        return session.get_one(ReplyStep, step_id)


def test_a_way_is_planned_once(database: Database) -> None:
    ids = planned(database)
    with database.write() as session:
        reply_id = read(database, ids[0]).reply
        other = [PlannedStep("post", "another", "another")]
        again = steps.plan(session, reply_id, 0, "post", other)
        assert [(row.id, row.token) for row in again] == [
            (ids[0], "token-1"),
            (ids[1], "token-2"),
            (ids[2], "token-3"),
        ]
        [fallback] = steps.plan(session, reply_id, 1, "dm", other)
    with database.read() as session:
        order = [(row.way, row.seq, row.kind) for row in steps.of_reply(session, reply_id)]
        assert order == [(0, 0, "upload"), (0, 1, "post"), (0, 2, "comment"), (1, 0, "post")]
        assert steps.of_reply(session, reply_id, 1)[0].id == fallback.id


def test_text_of_any_kind(database: Database) -> None:
    with database.write() as session:
        reply_id = queue_reply(session)
        assert reply_id is not None
        text = "\x00🌅\ud800" + "x" * 10_000
        [row] = steps.plan(session, reply_id, 0, "post", [PlannedStep("post", "t", text)])
        step_id = steps.step_id(row)
        steps.begin(session, step_id, NOW)
        steps.finish(session, step_id, Receipt("1\x00", "u\x00", {"a\x00": "\ud800"}), NOW)
    row = read(database, step_id)
    assert row.text == "🌅?" + "x" * 10_000
    assert (row.remote_id, row.outputs) == ("1", {"a": "?", "url": "u"})


def test_a_write_begins_once(database: Database, open_database: Callable[[], Database]) -> None:
    [step_id, *_] = planned(database)

    def begin() -> bool:
        with open_database().write() as session:
            return steps.begin(session, step_id, NOW)

    assert sorted(together(*[begin] * 6)) == [False] * 5 + [True]
    row = read(database, step_id)
    assert (row.state, row.sends, row.started_at) == (StepState.SENDING, 1, NOW)


def test_only_a_planned_write_begins(database: Database) -> None:
    [step_id, *_] = planned(database)
    for state in set(StepState) - {StepState.PLANNED}:
        with database.write() as session:
            session.get_one(ReplyStep, step_id).state = state
        with database.write() as session:
            assert not steps.begin(session, step_id, NOW)
        assert read(database, step_id).state == state


def test_the_token_is_the_same_through_every_repetition(database: Database) -> None:
    step_id = planned(database)[1]
    for number in (1, 2, 3):
        with database.write() as session:
            assert steps.begin(session, step_id, NOW)
        with database.write() as session:
            steps.doubt(session, step_id, "cut off", NOW)
            steps.note_reading(session, step_id, "absent", "not there", NOW, None)
            steps.replan(session, step_id, "absent")
        row = read(database, step_id)
        assert (row.token, row.state, row.sends) == ("token-2", StepState.PLANNED, number)
        assert (row.readings, row.next_read_at, row.error) == ([], None, "absent")


def test_a_finished_write_keeps_its_receipt(database: Database) -> None:
    step_id = planned(database)[1]
    with database.write() as session:
        steps.begin(session, step_id, NOW)
    with database.write() as session:
        steps.doubt(session, step_id, "cut off", NOW)
        steps.finish(session, step_id, Receipt("42", "https://p/42", {"media_id": "42"}), NOW)
    row = read(database, step_id)
    assert (row.state, row.finished_at, row.next_read_at) == (StepState.DONE, NOW, None)
    assert (row.remote_id, row.outputs) == ("42", {"media_id": "42", "url": "https://p/42"})


def test_a_refused_write(database: Database) -> None:
    step_id = planned(database)[1]
    with database.write() as session:
        steps.begin(session, step_id, NOW)
        steps.refuse(session, step_id, "no\x00", NOW)
    row = read(database, step_id)
    assert (row.state, row.error, row.finished_at) == (StepState.REFUSED, "no", NOW)


def test_readings_are_kept_in_order(database: Database) -> None:
    step_id = planned(database)[1]
    with database.write() as session:
        assert steps.note_reading(session, step_id, "unknown", "503", NOW, NOW) == 1
        assert steps.note_reading(session, step_id, "absent", "", NOW, None) == 2
    row = read(database, step_id)
    assert [reading["verdict"] for reading in row.readings] == ["unknown", "absent"]
    assert row.readings[0] == {"at": NOW.isoformat(), "verdict": "unknown", "detail": "503"}


def test_an_upload_shows_nothing(database: Database) -> None:
    upload, post, _comment = planned(database)
    reply_id = read(database, upload).reply
    for step_id, shown in ((upload, False), (post, True)):
        with database.write() as session:
            steps.begin(session, step_id, NOW)
            assert not steps.visible(session, reply_id)
            steps.finish(session, step_id, Receipt("1"), NOW)
            assert steps.visible(session, reply_id) is shown


def test_doubtful_writes_are_read_back_when_their_time_comes(database: Database) -> None:
    minutes = {"p1": 5, "p2": 1, "p3": None, "p4": 90, "p5": 1}
    for source, wait in minutes.items():
        with database.write() as session:
            account = "other" if source == "p5" else "main"
            reply_id = queue_reply(session, source, account=account)
            assert reply_id is not None
            rows = steps.plan(session, reply_id, 0, "post", POST)
            step_id = steps.step_id(rows[1])
            steps.begin(session, step_id, NOW)
            read_at = NOW + timedelta(minutes=wait) if wait else None
            steps.doubt(session, step_id, "cut off", read_at)
            path = (S.QUEUED, S.RENDERING, S.APPROVED, S.SENDING, S.UNKNOWN)
            for old, new in pairwise(path):
                outbox.move(session, reply_id, old, new, who="test", now=NOW)
    with database.read() as session:
        assert steps.doubtful(session, "main", NOW) == []
        found = steps.doubtful(session, "main", NOW + timedelta(minutes=10))
        assert [reply.source_post for reply, _step in found] == ["p2", "p1"]
        assert {step.kind for _reply, step in found} == {"post"}
