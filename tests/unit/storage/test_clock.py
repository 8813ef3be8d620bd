"""Times stored by a clock that was ahead, found and set right when it is right again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import select

from storage import clock_repair as clock
from storage import outbox
from storage.database import Database
from storage.tables import BreakerRow, Bucket, Reply, Retraction, TrackState
from tests.databases import NOW, database, database_url, open_database, queue_reply

__all__ = ["database", "database_url", "open_database"]

AHEAD = timedelta(hours=6)
THEN = NOW + AHEAD  # what the wrong clock showed


def stored(database: Database) -> None:
    """Six hours ahead: a poll, a held reply, a deletion, a pause, a request, a learning run."""
    with database.write() as session:
        reply = queue_reply(session)
        outbox.hold(session, reply or 0, THEN + timedelta(minutes=1), "held", THEN)
        minute = THEN + timedelta(minutes=1)
        session.add(TrackState(track="t", last_attempt=THEN, last_ok=THEN, last_new=THEN))
        session.add(Bucket(account="main", action="read", tokens=1, updated=THEN))
        session.add(BreakerRow(account="main", action="read", open_until=minute, failures=1))
        session.add(
            Retraction(
                platform="instagram", account="main", kind="post", remote_id="1",
                not_before=minute, created=THEN,
            )
        )  # fmt: skip


def waits(database: Database) -> set[datetime]:
    with database.read() as session:
        columns = (Reply.not_before, Retraction.not_before, BreakerRow.open_until)
        return {at for column in columns for at in session.exec(select(column)) if at}


def test_a_clock_that_was_right_is_left_alone(database: Database) -> None:
    stored(database)
    with database.read() as session:
        assert clock.ahead(session, THEN) is None
        assert clock.ahead(session, THEN - clock.TOLERANCE) is None
        assert clock.ahead(session, THEN + timedelta(days=300)) is None


def test_a_clock_that_was_ahead(database: Database) -> None:
    stored(database)
    with database.write() as session:
        assert clock.ahead(session, NOW) == AHEAD
        clock.set_back(session, NOW, AHEAD)
    with database.read() as session:
        assert clock.ahead(session, NOW) is None
        state = session.get_one(TrackState, "t")
        assert (state.last_attempt, state.last_ok, state.last_new) == (NOW, NOW, NOW)
        assert session.get_one(Bucket, ("main", "read")).updated == NOW
        done = clock.corrected(session)
        assert done is not None
        assert (done.value, done.changed) == ("6:00:00", NOW)
    assert waits(database) == {NOW + timedelta(minutes=1)}, "as long as was meant"


def test_what_waits_for_long_waits_as_long(database: Database) -> None:
    """A pause of a day, made by a clock six hours ahead, is a day from then, not from now."""
    with database.write() as session:
        day = THEN + timedelta(days=1)
        session.add(BreakerRow(account="main", action="dm", open_until=day, failures=1))
        session.add(TrackState(track="t", last_attempt=THEN))
        clock.set_back(session, NOW, AHEAD)
    assert waits(database) == {NOW + timedelta(days=1)}


def test_what_was_sent_keeps_its_time(database: Database) -> None:
    """By it caps are counted; a clock that is behind for a moment must not make them forget."""
    with database.write() as session:
        reply = session.get_one(Reply, queue_reply(session) or 0)
        reply.sending_at = reply.sent_at = THEN
        session.add(Bucket(account="main", action="read", tokens=1, updated=THEN))
    with database.write() as session:
        clock.set_back(session, NOW, AHEAD)
    with database.read() as session:
        kept = session.exec(select(Reply)).one()
    assert (kept.sending_at, kept.sent_at) == (THEN, THEN)
