"""Which replies are meant, in which order they are shown, rendered and made again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import UsageError
from storage import outbox, reply_lists, steps
from storage.database import Database
from storage.redo import redo
from storage.reply_lists import ReplySelection
from storage.tables import AuthorName, Reply, ReplyState, StepState
from tests.databases import NOW
from tests.replies import log, put_reply, read_reply

S = ReplyState


def named(database: Database, user_id: str, name: str, platform: str = "instagram") -> None:
    with database.write() as session:
        session.add(
            AuthorName(
                platform=platform,
                user_id=user_id,
                username=name,
                normal=name.lower(),
                first_seen=NOW,
                last_seen=NOW,
            )
        )


def test_every_state_has_its_place() -> None:
    assert sorted(reply_lists.SHOWN) == sorted(ReplyState)


def test_what_waits_for_a_person_is_shown_first_and_what_has_no_picture_last(
    database: Database,
) -> None:
    states = [S.AWAITING_APPROVAL, S.SENT, S.AWAITING_APPROVAL, *[S.QUEUED] * 5, S.FAILED]
    ids = [put_reply(database, state, f"p{n}") for n, state in enumerate(states)]
    with database.read() as session:
        shown = reply_lists.numbers_to_show(session, ReplySelection(), 5)
        assert reply_lists.count(session, ReplySelection()) == len(ids)
        waiting = ReplySelection(states=(S.AWAITING_APPROVAL,))
        assert reply_lists.numbers_to_show(session, waiting, 9) == [ids[2], ids[0]]
    assert shown == [ids[2], ids[0], ids[1], ids[8], ids[7]]


def test_by_numbers_states_and_people(database: Database) -> None:
    ids = [
        put_reply(database, S.QUEUED if n % 2 else S.SENT, f"p{n}", author_id=f"u{n % 3}")
        for n in range(9)
    ]

    def found(**said: object) -> list[int]:
        with database.read() as session:
            rows = reply_lists.newest(session, ReplySelection(**said))  # type: ignore[arg-type]
        return [ids.index(row.id or 0) for row in rows]

    assert found() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert found(numbers=(range(ids[2], ids[5]), range(ids[7], ids[8]))) == [7, 4, 3, 2]
    assert found(states=(S.QUEUED,), authors={("instagram", "u1")}) == [7, 1]
    assert found(authors={("mastodon", "u1")}) == found(authors=()) == []


def test_a_person_by_any_name_or_id(database: Database) -> None:
    named(database, "u1", "Ana")
    named(database, "u1", "ana.new")
    named(database, "u2", "bob")
    named(database, "u3", "bob")
    with database.read() as session:
        for name in ("ana", "@ANA.new", "u1", "instagram/ana"):
            assert reply_lists.people(session, name) == {("instagram", "u1")}, name
        with pytest.raises(UsageError, match="instagram/u2, instagram/u3"):
            reply_lists.people(session, "bob")
        for nobody in ("carl", "mastodon/ana"):
            with pytest.raises(UsageError, match="nobody known"):
                reply_lists.people(session, nobody)


def test_who_asked_last_is_rendered_and_sent_first_if_so_configured(database: Database) -> None:
    ids = [put_reply(database, S.QUEUED, f"p{n}", author_id=f"u{n}") for n in range(3)]
    room = outbox.Room(9, 9, NOW)
    with database.read() as session:

        def first(*, newest: bool) -> int | None:
            found = outbox.next_to_render(session, "main", room, NOW, newest=newest)
            return found and found.id

        assert (first(newest=False), first(newest=True)) == (ids[0], ids[2])
    approved = [put_reply(database, S.APPROVED, f"q{n}") for n in range(3)]
    half_out = put_reply(database, S.APPROVED, "q9", sending_at=NOW - timedelta(minutes=1))
    put_reply(database, S.APPROVED, "q10", not_before=NOW + timedelta(hours=1))
    last = put_reply(database, S.APPROVED, "q11")
    with database.read() as session:
        rows = outbox.due(session, S.APPROVED, NOW, limit=9, newest=True)
    assert [row.id for row in rows] == [half_out, last, *reversed(approved)]


@pytest.mark.parametrize("state", ReplyState)
def test_which_replies_can_be_made_again(database: Database, state: ReplyState) -> None:
    made = {"after_sha256": "a" * 64, "facts": {"compose": {"style": "tint"}}, "approved_by": "eva"}
    number = put_reply(database, state, not_before=NOW + timedelta(hours=3), **made)
    if state not in (S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED):
        with pytest.raises(UsageError, match="cannot be made again"), database.write() as session:
            redo(session, number, "outline", "eva", NOW)
        assert read_reply(database, number).style == "tint"
        return
    with database.write() as session:
        redo(session, number, "outline", "eva", NOW)
    reply = read_reply(database, number)
    assert (reply.state, reply.style) == ("queued", "outline")
    if state is not S.QUEUED:
        assert (reply.after_sha256, reply.facts, reply.approved_by) == (None, {}, "")
        assert reply.not_before == NOW, "at once, whatever it was held for"
        assert log(database, number)[-1][2:] == ("eva", "made again in the style outline")


def test_what_was_begun_to_be_sent_is_not_made_again(database: Database) -> None:
    number = put_reply(database, S.APPROVED)
    with database.write() as session:
        plan = [steps.PlannedStep("post", "token", "in the style tint")]
        (row,) = steps.plan(session, number, 0, "post", plan)
    with database.write() as session:
        redo(session, number, "outline", "eva", NOW)
        assert steps.of_reply(session, number) == [], "its text names the old style"
        (row,) = steps.plan(session, number, 0, "post", plan)
        row.state = StepState.REFUSED
        session.get_one(Reply, number).state = S.APPROVED
    with pytest.raises(UsageError, match="begun to be sent"), database.write() as session:
        redo(session, number, "frame", "eva", NOW)
