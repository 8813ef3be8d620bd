"""Replies: one per source post, along the allowed ways only, every step of the way logged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import chain, product
from typing import Any

import pytest

from bot.core.errors import UsageError
from storage import dataset, outbox, steps
from storage.database import Database
from storage.forget import forget
from storage.outbox import COUNTED, NEXT, TERMINAL
from storage.steps import PlannedStep
from storage.tables import ReplyState, StepState
from tests.databases import NOW, make_post, queue_reply, together
from tests.replies import DECISIONS, HOUR, MAY, log, put_reply, read_reply, step_states

S = ReplyState


def plan(database: Database, reply_id: int, **states: StepState) -> dict[str, int]:
    """One step per kind, in these states."""
    with database.write() as session:
        wanted = [PlannedStep(kind, f"token-{kind}", "", kind != "upload") for kind in states]
        rows = steps.plan(session, reply_id, 0, "post", wanted)
        for row in rows:
            row.state = states[row.kind]
        return {row.kind: steps.step_id(row) for row in rows}


def test_a_new_reply(database: Database) -> None:
    with database.write() as session:
        reply_id = queue_reply(session, source_url="https://x/\x00")
    assert reply_id is not None
    reply = read_reply(database, reply_id)
    assert (reply.state, reply.not_before, reply.created) == (S.QUEUED, NOW, NOW)
    assert (reply.sending_at, reply.facts, reply.attempts) == (None, {}, 0)
    assert reply.source_url == "https://x/"
    assert log(database, reply_id) == [("", "queued", "trigger", "mention")]


def test_one_reply_per_platform_account_and_source(database: Database) -> None:
    with database.write() as session:
        keys: list[dict[str, Any]] = [
            {},
            {"platform": "elsewhere"},
            {"account": "other"},
            {"source_post": "p2"},
        ]
        assert None not in [queue_reply(session, **key) for key in keys]
        assert [queue_reply(session, **key, style="other") for key in keys] == [None] * 4
        assert outbox.states(session)["queued"] == 4


def test_one_reply_even_when_many_threads_find_the_trigger(
    database: Database, open_database: Callable[[], Database]
) -> None:
    def trigger() -> list[int]:
        mine, found = open_database(), []
        for number in range(10):
            with mine.write() as session:
                found.append(queue_reply(session, f"p{number}"))
        return [reply_id for reply_id in found if reply_id is not None]

    made = together(*[trigger] * 8)
    assert len({reply_id for ids in made for reply_id in ids}) == sum(map(len, made)) == 10
    with database.read() as session:
        assert outbox.states(session)["queued"] == 10


def test_a_reply_in_whatever_state_is_not_made_again(database: Database) -> None:
    for state in S:
        put_reply(database, state, state)
    with database.write() as session:
        assert [queue_reply(session, state) for state in S] == [None] * len(S)


def test_only_allowed_moves_happen(database: Database) -> None:
    """From every state to every state, of a reply that is in the first and of one that is not."""
    for old, new in product(S, S):
        if new not in NEXT.get(old, frozenset()):
            never = pytest.raises(ValueError, match=f"never goes from {old} to {new}")
            with never, database.write() as session:
                outbox.move(session, 1, old, new, who="test", now=NOW)
            continue
        elsewhere = S.QUEUED if old is not S.QUEUED else S.RENDERING
        here = put_reply(database, old, f"{old} {new}")
        there = put_reply(database, elsewhere, f"not {old} {new}")
        with database.write() as session:
            assert outbox.move(session, here, old, new, who="test", why="because\x00", now=NOW)
            assert not outbox.move(session, here, old, new, who="test", now=NOW)
            assert not outbox.move(session, there, old, new, who="test", now=NOW)
        assert (read_reply(database, here).state, read_reply(database, here).reason) == (
            new,
            "because",
        )
        assert log(database, here)[1:] == [(old, new, "test", "because")]
        assert read_reply(database, there).state == elsewhere
        assert len(log(database, there)) == 1


def test_terminal_states() -> None:
    assert {S.SENT, S.FAILED, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DRY_RUN} == TERMINAL
    reachable = {new for states in NEXT.values() for new in states}
    assert reachable | {S.QUEUED} == set(S)
    assert [old for old, states in NEXT.items() if S.SENDING in states] == [S.APPROVED]


def test_two_workers_cannot_both_take_a_reply(
    database: Database, open_database: Callable[[], Database]
) -> None:
    ids = [put_reply(database, S.APPROVED, f"p{i}") for i in range(10)]

    def worker() -> list[int]:
        mine, taken = open_database(), []
        for reply_id in ids:
            with mine.write() as session:
                if outbox.move(session, reply_id, S.APPROVED, S.SENDING, who="w", now=NOW):
                    taken.append(reply_id)
        return taken

    assert sorted(chain.from_iterable(together(*[worker] * 4))) == ids


def test_a_move_carries_other_columns(database: Database) -> None:
    reply_id = put_reply(database, S.RENDERING)
    values = {"facts": {"after": {"post": "abc"}}, "after_sha256": "abc", "attempts": 2}
    with database.write() as session:
        outbox.move(session, reply_id, S.RENDERING, S.APPROVED, who="w", now=NOW + HOUR, **values)
    reply = read_reply(database, reply_id)
    assert {name: getattr(reply, name) for name in values} == values
    assert (reply.updated, reply.created) == (NOW + HOUR, NOW)


def test_a_move_that_is_rolled_back_leaves_no_trace(database: Database) -> None:
    reply_id = put_reply(database, S.APPROVED)
    with pytest.raises(KeyError), database.write() as session:
        outbox.move(session, reply_id, S.APPROVED, S.SENDING, who="w", now=NOW)
        raise KeyError
    assert read_reply(database, reply_id).state == S.APPROVED
    assert len(log(database, reply_id)) == 1


def test_due_is_oldest_first_and_waits_for_its_time(database: Database) -> None:
    a = put_reply(database, S.APPROVED, "a")
    b = put_reply(database, S.APPROVED, "b", account="other")
    c = put_reply(database, S.APPROVED, "c")
    put_reply(database, S.QUEUED, "d")
    with database.write() as session:
        outbox.hold(session, a, NOW + HOUR, "quiet hours", NOW)
    with database.read() as session:
        due = lambda *args, **kw: [r.id for r in outbox.due(session, S.APPROVED, *args, **kw)]  # noqa: E731
        assert due(NOW) == [b]
        assert due(NOW, limit=9) == [b, c]
        assert due(NOW, "main") == [c]
        assert due(NOW + HOUR, "main", limit=9) == [a, c]
        assert due(NOW - HOUR) == []
    assert (read_reply(database, a).reason, len(log(database, a))) == ("quiet hours", 1)


def test_a_hold_leaves_what_has_ended_alone(database: Database) -> None:
    ids = {state: put_reply(database, state, state, reason="as it was") for state in S}
    with database.write() as session:
        for reply_id in ids.values():
            outbox.hold(session, reply_id, NOW + HOUR, "held", NOW)
    for state, reply_id in ids.items():
        reply = read_reply(database, reply_id)
        expected = ("as it was", NOW) if state in TERMINAL else ("held", NOW + HOUR)
        assert (reply.reason, reply.not_before) == expected, state


def test_unhold(database: Database) -> None:
    later = {"not_before": NOW + HOUR}
    ids = [put_reply(database, S.APPROVED, f"p{i}", account=f"a{i}", **later) for i in (0, 1, 2)]
    queued = put_reply(database, S.QUEUED, "q", account="a0", **later)
    with database.write() as session:
        outbox.unhold(session, "a0", NOW)
        assert [r.id for r in outbox.due(session, S.APPROVED, NOW, limit=9)] == ids[:1]
        outbox.unhold(session, None, NOW)
        assert [r.id for r in outbox.due(session, S.APPROVED, NOW, limit=9)] == ids
    assert read_reply(database, queued).not_before == NOW + HOUR


def test_what_counts_under_the_caps(database: Database) -> None:
    for state in S:
        put_reply(database, state, f"old-{state}", sending_at=NOW - HOUR)
        put_reply(database, state, f"new-{state}", sending_at=NOW)
        put_reply(database, state, f"never-{state}")
    put_reply(database, S.SENT, "bob", author_id="u2", sending_at=NOW)
    put_reply(database, S.SENT, "other", account="other", sending_at=NOW)
    with database.read() as session:
        count = lambda *args: outbox.sent_since(session, *args)  # noqa: E731
        assert set(COUNTED) == {S.SENDING, S.SENT, S.UNKNOWN}
        assert count("main", NOW) == 3 + 1
        assert count("main", NOW - HOUR) == 6 + 1
        assert count("main", NOW - HOUR, "u1") == 6
        assert count("main", NOW, "u2") == 1
        assert count("other", NOW) == 1
        assert count("main", NOW + HOUR) == count("nobody", NOW) == 0


def test_recovery_after_a_crash(database: Database) -> None:
    rendering = put_reply(database, S.RENDERING, "rendering")
    in_air = put_reply(database, S.SENDING, "in the air")
    plan(database, in_air, upload=StepState.DONE, post=StepState.SENDING, comment=StepState.PLANNED)
    between = put_reply(database, S.SENDING, "between", not_before=NOW + HOUR)
    plan(database, between, upload=StepState.DONE, post=StepState.PLANNED)
    unplanned = put_reply(database, S.SENDING, "unplanned")
    doubted = put_reply(database, S.SENDING, "doubted")
    plan(database, doubted, post=StepState.UNKNOWN)
    other = put_reply(database, S.SENDING, "other", account="other")
    plan(database, other, post=StepState.SENDING)
    others = set(S) - {S.RENDERING, S.SENDING}
    settled = {state: put_reply(database, state, state) for state in others}
    with database.write() as session:
        assert outbox.recover(session, "main", NOW) == {"requeued": 1, "unsettled": 4}
    with database.write() as session:
        assert outbox.recover(session, "main", NOW) == {"requeued": 0, "unsettled": 0}
    assert read_reply(database, rendering).state == S.QUEUED
    assert read_reply(database, in_air).state == S.UNKNOWN
    assert step_states(database, in_air) == {
        "upload": "done",
        "post": "unknown",
        "comment": "planned",
    }
    with database.read() as session:
        assert [reply.id for reply, _ in steps.doubtful(session, "main", NOW)] == [in_air]
    assert (read_reply(database, between).state, read_reply(database, between).not_before) == (
        S.APPROVED,
        NOW,
    )
    assert step_states(database, between) == {"upload": "done", "post": "planned"}
    assert read_reply(database, unplanned).state == S.APPROVED
    assert read_reply(database, doubted).state == S.UNKNOWN
    assert read_reply(database, other).state == S.SENDING
    assert step_states(database, other) == {"post": "sending"}
    for state, reply_id in settled.items():
        assert read_reply(database, reply_id).state == state
    assert log(database, in_air)[1:] == [("sending", "unknown", "start", "interrupted")]


def test_a_person_releases_a_waiting_reply(database: Database) -> None:
    reply_id = put_reply(database, S.AWAITING_APPROVAL, not_before=NOW + HOUR)
    with database.write() as session:
        assert outbox.release(session, reply_id, "eva", NOW) is S.APPROVED
    reply = read_reply(database, reply_id)
    assert (reply.approved_by, reply.not_before) == ("eva", NOW)
    assert reply.expires_at == NOW + timedelta(days=1)
    assert log(database, reply_id)[1:] == [("awaiting_approval", "approved", "eva", "approved")]


def test_a_person_releases_a_write_of_unknown_outcome(database: Database) -> None:
    """It is sent again with the token it had, and lives long enough for that."""
    reply_id = put_reply(database, S.UNKNOWN)
    ids = plan(database, reply_id, upload=StepState.DONE, post=StepState.UNKNOWN)
    much_later = NOW + timedelta(days=5)
    with database.write() as session:
        outbox.release(session, reply_id, "eva", much_later)
    assert step_states(database, reply_id) == {"upload": "done", "post": "planned"}
    with database.write() as session:
        outbox.expire(session, much_later + HOUR)
        assert [r.id for r in outbox.due(session, S.APPROVED, much_later)] == [reply_id]
        assert steps.begin(session, ids["post"], NOW)
        assert [row.token for row in steps.of_reply(session, reply_id)][1] == "token-post"


def test_a_person_confirms_a_write_of_unknown_outcome(database: Database) -> None:
    reply_id = put_reply(database, S.UNKNOWN)
    plan(database, reply_id, post=StepState.UNKNOWN, comment=StepState.PLANNED)
    with database.write() as session:
        assert outbox.confirm(session, reply_id, "eva", NOW) is S.APPROVED
    assert step_states(database, reply_id) == {"post": "done", "comment": "planned"}
    with database.write() as session:
        assert outbox.expire(session, NOW + timedelta(days=9)) == 0


@pytest.mark.parametrize("verb", sorted(DECISIONS))
def test_what_a_person_may_decide(database: Database, verb: str) -> None:
    for state in S:
        reply_id = put_reply(database, state, state)
        result, events = state, []
        if state in MAY[verb]:
            result = S.REJECTED if verb == "reject" else S.APPROVED
            events = [(state, result, "eva")]
            with database.write() as session:
                assert DECISIONS[verb](session, reply_id, NOW) is result
        else:
            with pytest.raises(UsageError, match=state), database.write() as session:
                DECISIONS[verb](session, reply_id, NOW)
        assert read_reply(database, reply_id).state == result
        assert [(e[0], e[1], e[2]) for e in log(database, reply_id)[1:]] == events


def test_deciding_on_a_reply_that_is_not_there(database: Database) -> None:
    with database.write() as session:
        for decide in (outbox.release, outbox.confirm):
            with pytest.raises(UsageError, match="no reply 99"):
                decide(session, 99, "eva", NOW)
        with pytest.raises(UsageError, match="no reply 99"):
            outbox.reject(session, 99, "eva", "", NOW)


def test_only_waiting_replies_expire(database: Database) -> None:
    late = {state: put_reply(database, state, f"late-{state}", expires_at=NOW) for state in S}
    early = {
        s: put_reply(database, s, f"early-{s}", expires_at=NOW + timedelta(seconds=1)) for s in S
    }
    with database.write() as session:
        assert outbox.expire(session, NOW) == 3
    waiting = (S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED)
    for state in S:
        assert read_reply(database, late[state]).state == (S.EXPIRED if state in waiting else state)
        assert read_reply(database, early[state]).state == state


def test_what_is_half_sent_does_not_expire(database: Database) -> None:
    uploaded = put_reply(database, S.APPROVED, "uploaded", expires_at=NOW)
    plan(database, uploaded, upload=StepState.DONE, post=StepState.PLANNED)
    posted = put_reply(database, S.APPROVED, "posted", expires_at=NOW)
    plan(database, posted, post=StepState.DONE, comment=StepState.PLANNED)
    with database.write() as session:
        assert outbox.expire(session, NOW) == 1
    assert read_reply(database, uploaded).state == S.EXPIRED  # an upload shows nothing to anybody
    assert read_reply(database, posted).state == S.APPROVED


def test_cancelling_what_waits(database: Database) -> None:
    waiting = (S.QUEUED, S.RENDERING, S.AWAITING_APPROVAL, S.APPROVED)
    by_author = {state: put_reply(database, state, f"a-{state}", author_id="u1") for state in S}
    other = put_reply(database, S.QUEUED, "b", author_id="u2")
    elsewhere = put_reply(database, S.QUEUED, "b", author_id="u2", account="other")
    with database.write() as session:
        cancel = lambda **kw: outbox.cancel_waiting(session, "instagram", why="gone", now=NOW, **kw)  # noqa: E731
        assert cancel(author_id="u1") == len(waiting)
        assert cancel(author_id="u1") == 0
        assert cancel(source_post="b", author_id="u1") == 0
        assert outbox.cancel_waiting(session, "elsewhere", source_post="b", why="", now=NOW) == 0
        assert cancel(source_post="b") == 2
    for state, reply_id in by_author.items():
        assert read_reply(database, reply_id).state == (S.CANCELLED if state in waiting else state)
    for reply_id in (other, elsewhere):
        reply = read_reply(database, reply_id)
        assert (reply.state, reply.reason) == (S.CANCELLED, "gone")


def test_listing(database: Database) -> None:
    ids = [put_reply(database, state, state) for state in S]
    mine = put_reply(database, S.SENT, "mine", account="other")
    with database.read() as session:
        assert [r.id for r in outbox.listing(session)] == [mine, *reversed(ids)]
        assert [r.id for r in outbox.listing(session, limit=1)] == [mine]
        assert [r.source_post for r in outbox.listing(session, S.SENT, "main")] == ["sent"]
        assert outbox.states(session) == {s.value: 2 if s is S.SENT else 1 for s in S}


def test_a_reply_outlives_its_post(database: Database) -> None:

    with database.write() as session:
        row_id = dataset.add(session, make_post(), [], NOW)
        reply_id = queue_reply(session, post=row_id)
        assert reply_id is not None
        outbox.move(session, reply_id, S.QUEUED, S.RENDERING, who="w", now=NOW)
        outbox.move(session, reply_id, S.RENDERING, S.APPROVED, who="w", now=NOW)
        outbox.move(session, reply_id, S.APPROVED, S.SENDING, who="w", now=NOW)
    with database.write() as session:
        forget(session, "instagram", "u1", NOW)
    assert read_reply(database, reply_id).post is None
    with database.write() as session:
        assert queue_reply(session) is None
