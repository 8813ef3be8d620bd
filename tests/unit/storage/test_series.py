"""Posts, replies, latencies and limits over time, counted by the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.events import Author, Breaker
from storage import dataset, reply_log, series
from storage.database import Database
from storage.pacing import DatabaseLedger
from storage.series import LimitUse, TimeSpan, Unit
from storage.tables import Reply, ReplyState
from tests.databases import NOW, make_post, queue_reply

S = ReplyState
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BY_HOUR = TimeSpan(NOW - 2 * HOUR, NOW + HOUR, Unit.HOUR)  # NOW is noon: three hours


def test_a_span_has_the_whole_buckets_of_its_ends() -> None:
    some = timedelta(minutes=17)
    assert TimeSpan.around(NOW - HOUR + some, NOW + some, Unit.HOUR).buckets() == [NOW - HOUR, NOW]
    assert TimeSpan.around(NOW - HOUR, NOW, Unit.HOUR).buckets() == [NOW - HOUR]
    midnight = NOW - 12 * HOUR
    assert TimeSpan.around(NOW - DAY, NOW, Unit.DAY).buckets() == [midnight - DAY, midnight]
    assert TimeSpan.around(midnight - DAY, midnight, Unit.DAY).buckets() == [midnight - DAY]


def test_posts_by_the_hour_and_day_they_were_stored(database: Database) -> None:
    ages = {"a": 0, "b": 1, "c": 59, "d": 61, "e": 121, "f": 40 * 60}  # minutes
    with database.write() as session:
        for name, minutes in ages.items():
            stored = NOW + timedelta(minutes=59) - timedelta(minutes=minutes)
            dataset.add(session, make_post(name), [], stored)
    with database.read() as session:
        by_hour = series.posts(session, BY_HOUR)
        by_day = series.posts(session, TimeSpan.around(NOW - 2 * DAY, NOW, Unit.DAY))
    assert [(one.at, one.posts) for one in by_hour] == [
        (NOW - 2 * HOUR, 1),
        (NOW - HOUR, 1),
        (NOW, 3),
    ]
    assert [one.posts for one in by_day] == [1, 0, 5]


def test_replies_by_what_became_of_them_and_when(database: Database) -> None:
    with database.write() as session:
        for n, (state, hours) in enumerate([(S.SENT, 0), (S.SENT, 1), (S.FAILED, 1)]):
            reply = queue_reply(session, f"p{n}", now=NOW - 2 * HOUR)
            assert reply is not None
            reply_log.add(session, reply, S.QUEUED, S.RENDERING, "worker", "", NOW - hours * HOUR)
            reply_log.add(session, reply, S.SENDING, state, "worker", "", NOW - hours * HOUR)
        reply_log.add(session, reply, S.FAILED, S.QUEUED, "eva", "", NOW)  # asked by nobody anew
        reply_log.add(session, reply, S.QUEUED, S.CANCELLED, "eva", "", NOW + 5 * HOUR)
    with database.read() as session:
        first, second, third = series.replies(session, BY_HOUR)
    assert (first.asked, first.sent, first.failed) == (3, 0, 0)
    assert (second.asked, second.sent, second.failed) == (0, 1, 1)
    assert (third.asked, third.sent, third.failed, third.cancelled) == (0, 1, 0, 0)


def published(database: Database, name: str, age: timedelta, **spans: timedelta) -> None:
    """A reply that was published so long before NOW; `spans`: what had begun how long before."""
    sent = NOW - age
    with database.write() as session:
        post = make_post(
            name, taken_at=sent - spans.get("post", HOUR), author=Author("instagram", name, name)
        )
        row = dataset.add(session, post, [], sent)
        asked = sent - spans.get("trigger", HOUR)
        reply = queue_reply(session, name, author_id=name, post=row, now=asked)
        assert reply is not None
        one = session.get_one(Reply, reply)
        one.state, one.sent_at = S.SENT, sent
        if "approval" in spans:
            for moment in (sent - 2 * spans["approval"], sent - spans["approval"]):
                reply_log.add(session, reply, S.AWAITING_APPROVAL, S.APPROVED, "eva", "", moment)


def test_latencies_are_percentiles_of_what_was_published(database: Database) -> None:
    for n in range(1, 21):
        seconds = timedelta(seconds=n)
        published(database, f"p{n}", HOUR / 2, post=10 * seconds, trigger=seconds)
    published(database, "later", -HOUR / 2, post=HOUR, trigger=HOUR, approval=timedelta(seconds=5))
    with database.write() as session:  # never published: it counts nowhere
        waiting = session.get_one(Reply, queue_reply(session, "other", now=NOW))
        waiting.sent_at = NOW
    with database.read() as session:
        empty, first, second = series.latencies(session, BY_HOUR)
    assert (empty.replies, empty.post_p50, empty.trigger_p95) == (0, None, None)
    assert first.replies == 20
    assert (first.trigger_p50, first.trigger_p95) == pytest.approx((10, 19), abs=0.01)
    assert (first.post_p50, first.post_p95) == pytest.approx((100, 190), abs=0.01)
    assert first.approval_p50 is None
    assert second.approval_p50 == pytest.approx(5, abs=0.01)
    assert second.post_p95 == pytest.approx(3600, abs=0.01)


def test_limits_are_what_the_ledger_wrote_down_by_the_hour(database: Database) -> None:
    ledger = DatabaseLedger(database)

    def take(minutes: int) -> float:
        now = NOW + timedelta(minutes=minutes)
        return ledger.take("main", "read", now=now, rate=1 / 3600, burst=2)

    assert [take(-61), take(-60), take(-60)] == [0, 0, pytest.approx(3540, abs=1)]
    assert take(0) == 0
    until = NOW + timedelta(minutes=10)
    ledger.trip("main", "*", Breaker(until, 1), at=NOW)
    ledger.trip("main", "*", Breaker(until, 1))  # the rest of the same pause
    ledger.trip("main", "*", Breaker(None, 2, latched=True), at=NOW)
    with database.read() as session:
        found = series.limits(session, BY_HOUR)
        (day_all, day_read) = series.limits(session, TimeSpan.around(NOW, NOW, Unit.DAY))
    assert found[0] == LimitUse(NOW - 2 * HOUR, "main", "read", 1, 1.0, 0, 0.0, 0, 0.0)
    second = found[1]
    assert (second.at, second.requests, second.waits) == (NOW - HOUR, 1, 1)
    assert second.fewest_left == pytest.approx(0.0167, abs=0.001)
    assert second.waited_seconds == pytest.approx(3540, abs=1)
    assert found[2] == LimitUse(NOW, "main", "*", 0, None, 0, 0.0, 2, 600.0)
    assert (found[3].action, found[3].requests) == ("read", 1)
    assert (day_read.requests, day_read.waits, day_all.pauses) == (3, 1, 2)
