"""What a poll missed is read later: backwards, a page at a time, until what is known is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.errors import LoginRequired
from bot.flow.gaps import MAX_FAILURES, Gaps
from bot.flow.policy import Track
from bot.flow.reply_rule import Watch
from storage import gaps
from storage.tables import Gap
from tests.flow.kit import Flow
from tests.flow.test_poll import SECTIONS, ids, many, stored


def missed(flow: Flow, posts: int = 150) -> Track:
    """A poll that was cut off long before it came to what the first one had stored."""
    flow.ingest.limits = replace(flow.ingest.limits, per_poll=30)
    track = flow.track()
    many(flow, 3)
    flow.poll()
    flow.clock.advance(hours=2)
    many(flow, posts)
    assert flow.poll().gap
    return track


def known(flow: Flow, track: Track) -> list[Gap]:
    with flow.database.read() as session:
        return gaps.of_track(session, track.key)


def walk(flow: Flow, track: Track) -> Callable[[], bool]:
    closer = Gaps(flow.database, flow.ingest, flow.clock)
    return lambda: closer.next(flow.platform, {track.key: Watch(track, flow.policy, flow.us)})


def everything(flow: Flow) -> set[str]:
    return ids(flow.box.world.posts.values())


def test_a_gap_is_closed(flow: Flow) -> None:
    track = missed(flow)
    [gap] = known(flow, track)
    assert gap.since is not None
    assert gap.until is not None
    assert gap.since < gap.until
    step, until = walk(flow, track), gap.until
    while step():
        for left in known(flow, track):
            assert left.until is not None
            assert left.until < until, "less and less is missing"
            until = left.until
    assert known(flow, track) == []
    assert stored(flow, track) == everything(flow)


def test_polls_between_leave_the_gap_where_it_is(flow: Flow) -> None:
    """And a second gap above the first is one of its own."""
    track = missed(flow)
    step = walk(flow, track)
    step()
    flow.clock.advance(minutes=15)
    many(flow, 5)
    assert not flow.poll().gap
    assert len(known(flow, track)) == 1
    flow.clock.advance(minutes=15)
    many(flow, 100)
    assert flow.poll().gap
    assert len(known(flow, track)) == 2
    while step():
        pass
    assert stored(flow, track) == everything(flow)


def test_a_poll_that_breaks_off_after_it_left_a_gap(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gap is committed before the posts above it, which the next poll takes for known."""
    flow.ingest.limits = replace(flow.ingest.limits, per_poll=60)
    track = flow.track()
    many(flow, 3)
    flow.poll()
    flow.clock.advance(hours=2)
    many(flow, 150)
    take, calls = flow.ingest.take, []

    def killed(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return take(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(flow.ingest, "take", killed)
        flow.poll()
    flow.poll()
    step = walk(flow, track)
    while step():
        pass
    assert stored(flow, track) == everything(flow)


def test_trouble_puts_a_gap_off(flow: Flow) -> None:
    track = missed(flow)
    step = walk(flow, track)
    flow.box.faults.add("server_error", SECTIONS)
    assert step()
    assert not step(), "not at once"
    flow.clock.advance(minutes=2)
    while step():
        pass
    assert stored(flow, track) == everything(flow)


def test_a_cursor_that_is_no_longer_taken_is_given_up_and_said(flow: Flow) -> None:
    track = missed(flow)
    step = walk(flow, track)
    flow.box.faults.add("server_error", SECTIONS, count=0)
    for _ in range(MAX_FAILURES):
        assert step()
        flow.clock.advance(hours=5)
    assert not step()
    [gap] = known(flow, track)
    assert gap.given_up
    assert "500" in gap.error


def test_a_session_that_ended_costs_the_gap_nothing(flow: Flow) -> None:
    track = missed(flow)
    flow.box.faults.add("login_required", SECTIONS)
    with pytest.raises(LoginRequired):
        walk(flow, track)()
    assert known(flow, track)[0].failures == 0


def test_posts_of_a_gap_ask_for_replies_as_others_do(flow: Flow) -> None:
    flow.ingest.limits = replace(flow.ingest.limits, per_poll=30)
    track = flow.track()
    many(flow, 3)
    flow.poll()
    flow.clock.advance(hours=2)
    post = flow.asking("zoe", at=flow.clock.time() - 6100)
    many(flow, 100)
    flow.poll()
    assert flow.reply(post) is None
    step = walk(flow, track)
    while step():
        pass
    assert flow.state(post) == "queued"
