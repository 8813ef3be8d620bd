"""Collecting in bulk on the loopback network; what it cost is asked of the network's journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import NameTaken, NothingToDo, RateLimited, Unavailable
from bot.core.events import TrackKind
from bot.flow.backfill import Collector, CollectSummary, Want
from bot.flow.filters import parse_filter
from bot.flow.reply_rule import Watch
from bot.verbs.tracks import accept
from storage.tables import Collection, CommentRow, PostRow, PostTrack, Reply
from tests.flow.kit import Flow

PAGE = 27  # posts of one page of a hashtag


def fill(flow: Flow, count: int, start: int = 0, **more: Any) -> list[Any]:
    """Posts an hour apart, the first the oldest."""
    begin = flow.clock.time() - 3600 * 1000
    return [flow.post("ana", at=begin + 3600 * (start + n), **more) for n in range(count)]


def collector(flow: Flow, want: Want | None = None, **more: Any) -> Collector:
    return Collector(
        flow.database,
        flow.ingest,
        flow.optouts,
        flow.platform,
        Watch(flow.track(**more), flow.policy, flow.us),
        want or Want(),
        flow.clock,
    )


def collect(flow: Flow, want: Want | None = None, **more: Any) -> CollectSummary:
    run = collector(flow, want, **more)
    for _ in run.run():
        pass
    return run.summary


def stored(flow: Flow) -> list[str]:
    with flow.database.read() as session:
        return list(session.exec(select(PostRow.post_id).order_by(PostRow.taken_at)))


def downloads(flow: Flow) -> int:
    return len(flow.box.journal.requests("/m/"))


def state(flow: Flow) -> Collection:
    with flow.database.read() as session:
        return session.exec(select(Collection)).one()


def test_everything_is_collected_and_a_second_run_costs_one_listing(flow: Flow) -> None:
    posts = fill(flow, 70)
    summary = collect(flow)
    assert summary.taken.new == summary.matched == 70
    assert summary.complete
    assert stored(flow) == [str(post.pk) for post in posts]
    assert state(flow).complete
    lists, images = flow.pages(), downloads(flow)
    assert lists == 3
    assert collect(flow).taken.new == 0
    assert (flow.pages() - lists, downloads(flow) - images) == (1, 0)


def test_collecting_answers_nobody(flow: Flow) -> None:
    flow.post(caption=f"#sunset for @{flow.us.me.username}")
    assert collect(flow).taken.new == 1
    with flow.database.read() as session:
        assert session.exec(select(Reply)).all() == []
        assert "switched off" in session.exec(select(PostTrack)).one().decision


def test_a_limit_is_how_many_posts_there_are_in_all(flow: Flow) -> None:
    posts = fill(flow, 70)
    assert collect(flow, Want(limit=40)).taken.new == 40
    assert stored(flow) == [str(post.pk) for post in posts[-40:]]
    images = downloads(flow)
    assert collect(flow, Want(limit=40)).taken.new == 0
    assert collect(flow, Want(limit=60)).taken.new == 20
    assert stored(flow) == [str(post.pk) for post in posts[-60:]]
    assert downloads(flow) - images == 20, "what is there is not fetched again"


def test_it_goes_on_by_cursor_after_an_interruption(flow: Flow) -> None:
    posts = fill(flow, 100)
    run = collector(flow)
    for number, _ in enumerate(run.run(), start=1):
        if number == PAGE + 1:
            break  # the second page is stored, and its last words never said
    first = flow.pages()
    assert first == 2
    newer = fill(flow, 3, start=100)
    summary = collect(flow)
    assert stored(flow) == [str(post.pk) for post in posts + newer]
    assert summary.taken.new == 100 - 2 * PAGE + 3
    assert flow.pages() - first == 1 + 2, "the top, then two pages from the cursor"


def test_a_429_stops_it_and_the_same_command_goes_on(flow: Flow) -> None:
    posts = fill(flow, 60)
    flow.box.faults.add("throttled", "*/sections/", skip=1)
    with pytest.raises(RateLimited):
        collect(flow)
    assert len(stored(flow)) == PAGE
    flow.clock.advance(minutes=5)
    assert collect(flow).taken.new == 60 - PAGE
    assert stored(flow) == [str(post.pk) for post in posts]


def test_a_failure_at_the_top_leaves_no_gap(flow: Flow) -> None:
    """The newest page is stored last: a broken run must not make older new posts look known."""
    fill(flow, 5)
    collect(flow)
    newer = fill(flow, 60, start=5)
    flow.box.faults.add("server_error", "*/sections/", skip=2)
    with pytest.raises(Unavailable):
        collect(flow)
    collect(flow)
    assert {str(post.pk) for post in newer} <= set(stored(flow))


def test_since_ends_the_walk_and_pinned_posts_do_not(flow: Flow) -> None:
    begin = flow.clock.time()
    flow.person("ana")
    old = [flow.post("ana", at=begin - 86400 * (60 + n)) for n in range(40)]
    pinned = flow.post("ana", at=begin - 86400 * 400, pinned=True)
    young = [flow.post("ana", at=begin - 3600 * n) for n in range(10)]
    since = datetime.fromtimestamp(begin, UTC) - timedelta(days=30)
    target = {"name": "ana", "kind": TrackKind.PROFILE}
    summary = collect(flow, Want(since=since), **target)
    assert set(stored(flow)) == {str(post.pk) for post in young}
    assert summary.complete
    deeper = collect(flow, Want(), **target)
    assert set(stored(flow)) == {str(post.pk) for post in [*old, pinned, *young]}
    assert deeper.taken.new == 41


def test_a_filter_chooses_and_what_it_leaves_out_is_not_downloaded(flow: Flow) -> None:
    fill(flow, 10)
    liked = fill(flow, 4, start=10, likes=50)
    summary = collect(flow, Want(matches=parse_filter("likes >= 50")))
    assert stored(flow) == [str(post.pk) for post in liked]
    assert (summary.listed, summary.matched) == (14, 4)
    before = flow.pages()
    collect(flow, Want(matches=parse_filter("likes >= 50")))
    assert flow.pages() - before == 1, "posts left out do not make it look unfinished"


def test_comments_on_request_once(flow: Flow) -> None:
    post = fill(flow, 2)[-1]
    for number in range(30):
        flow.person(f"p{number}")
        flow.box.world.comment(post.pk, f"p{number}", f"word {number}")
    gone = flow.box.world.user("p29").pk
    with flow.database.write() as session:
        flow.optouts.add(session, "instagram", gone, flow.clock())
    assert collect(flow, Want(comments=25)).comments == 24
    with flow.database.read() as session:
        rows = session.exec(select(CommentRow)).all()
    assert len({row.comment_id for row in rows}) == 24
    assert gone not in {row.author_id for row in rows}
    assert all(row.text.startswith("word ") for row in rows)
    asked = len(flow.box.journal.requests("/comments/"))
    assert asked == 2, "the post without comments was not asked"
    assert collect(flow, Want(comments=0)).comments == 0
    assert len(flow.box.journal.requests("/comments/")) == asked


def test_a_profile_that_is_somebody_elses_now_is_told(flow: Flow, tmp_path: Path) -> None:
    """Collected for the first time, as a track that is polled for the first time."""
    hashtag = flow.track()
    flow.post("ana")
    flow.poll(hashtag)
    flow.box.world.rename("ana", "ana.new")
    flow.person("ana")
    other = flow.post("ana", "somebody else's")
    profile = {"name": "ana", "kind": TrackKind.PROFILE}
    before = stored(flow)
    with pytest.raises(NameTaken, match="track accept @ana"):
        collect(flow, **profile)
    assert stored(flow) == before
    settings = Settings(data=Data(dir=tmp_path))
    with pytest.raises(NothingToDo):
        accept(settings, "ana.new")
    assert accept(settings, "ana") == ["main:profile:ana"]
    collect(flow, **profile)
    assert stored(flow) == [*before, str(other.pk)]


def test_a_post_dated_ahead_hides_nothing_that_follows(flow: Flow) -> None:
    """Its date says nothing about how far the listing was read."""
    fill(flow, 3)
    ahead = flow.post("ana", at=flow.clock.time() + 86400 * 10)
    collect(flow)
    assert str(ahead.pk) in stored(flow)
    newest = state(flow).newest
    assert newest is not None and newest <= flow.clock()
    pages = [flow.post("ben", at=flow.clock.time() - 60 * n) for n in range(PAGE + 3)]
    assert collect(flow).taken.new == len(pages)
    assert {str(post.pk) for post in pages} <= set(stored(flow))


def test_people_who_opted_out_stay_out(flow: Flow) -> None:
    fill(flow, 3)
    with flow.database.write() as session:
        flow.optouts.add(session, "instagram", flow.box.world.user("ana").pk, flow.clock())
    summary = collect(flow)
    assert stored(flow) == []
    assert summary.taken.kept_out == 3


def test_a_cursor_the_network_no_longer_takes_starts_over(flow: Flow) -> None:
    posts = fill(flow, 60)
    collect(flow, Want(limit=30))
    with flow.database.write() as session:
        row = session.exec(select(Collection)).one()
        row.cursor = row.cursor.replace('"max_id": "', '"max_id": "///')
    collect(flow)
    assert stored(flow) == [str(post.pk) for post in posts]
