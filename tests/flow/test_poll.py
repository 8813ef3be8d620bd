"""Listening: what is new, what changed, what broke; and that none of these looks like another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import (
    NameTaken,
    StorageError,
    TagechoError,
    TargetGone,
    TargetPrivate,
    Unavailable,
)
from bot.core.events import Media, Page, TrackKind
from bot.flow.forget import forget
from bot.flow.policy import Track
from bot.flow.poll import overdue
from bot.platforms.sandbox.things import Post
from bot.verbs.tracks import accept
from storage.tables import (
    AuthorName,
    AuthorRow,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
    TrackState,
)
from tests.flow.kit import Flow, tag

SECTIONS = "/api/v1/tags/*/sections/"


def health(flow: Flow, track: Track) -> TrackState:
    with flow.database.read() as session:
        return session.get_one(TrackState, track.key)


def stored(flow: Flow, track: Track) -> set[str]:
    """Post ids that this track found."""
    with flow.database.read() as session:
        statement = (
            select(PostRow.post_id)
            .join(PostTrack, col(PostTrack.post) == col(PostRow.id))
            .where(PostTrack.track == track.key)
        )
        return set(session.exec(statement))


def row(flow: Flow, post: Post) -> PostRow:
    with flow.database.read() as session:
        return session.exec(select(PostRow).where(PostRow.post_id == str(post.pk))).one()


def revisions(flow: Flow, post: Post) -> list[tuple[str, Any, Any]]:
    with flow.database.read() as session:
        statement = (
            select(PostRevision)
            .where(PostRevision.post == row(flow, post).id)
            .order_by(col(PostRevision.id))
        )
        return [(r.field, r.old, r.new) for r in session.exec(statement)]


def many(flow: Flow, count: int, caption: str = "#sunset", step: float = 60.0) -> list[Post]:
    """Posts of several people, oldest first, the newest now."""
    now = flow.clock.time()
    return [
        flow.post(f"p{n % 7}", f"{caption} {n}", at=now - (count - n) * step) for n in range(count)
    ]


def ids(posts: list[Post]) -> set[str]:
    return {str(post.pk) for post in posts}


# --- nothing new, or broken? -------------------------------------------------------------------


def test_an_empty_listing_is_fine(flow: Flow) -> None:
    track = flow.track()
    assert flow.poll().taken.new == 0
    state = health(flow, track)
    assert (state.health, state.failing_since, state.error) == ("ok", None, "")
    assert state.last_ok is not None and state.polls == 1


def test_quiet_after_a_day_and_twenty_polls_without_news(flow: Flow) -> None:
    track = flow.track(every=timedelta(hours=1))
    flow.post()
    flow.poll()
    began = health(flow, track).last_new
    flow.clock.advance(hours=23)
    flow.poll()
    assert health(flow, track).health == "ok"
    flow.clock.advance(hours=2)
    flow.poll()
    state = health(flow, track)
    assert state.health == "quiet" and state.last_new == began
    assert state.last_ok is not None and state.last_ok > began + timedelta(hours=24)  # type: ignore[operator]
    flow.post("ben")
    flow.poll()
    assert health(flow, track).health == "ok"


READ_FAULTS = (
    "throttled", "please_wait", "feedback_required", "challenge_required", "login_required",
    "unauthorized", "forbidden", "request_timeout", "server_error", "unavailable", "html", "empty",
    "rate_limit_error", "sentry_block", "not_found", "cut_json", "truncated", "drop", "checkpoint",
    "masked_challenge", "suspended",
)  # fmt: skip


@pytest.mark.parametrize("fault", READ_FAULTS)
def test_a_failing_listing_is_not_nothing_new(flow: Flow, fault: str) -> None:
    track = flow.track()
    flow.post()
    flow.poll()
    fine = health(flow, track)
    flow.post("ben")
    flow.clock.advance(minutes=15)
    flow.box.faults.add(fault, SECTIONS, count=0)
    began = flow.clock()
    with pytest.raises(TagechoError) as caught:
        flow.poll()
    state = health(flow, track)
    assert state.health == "failing" and type(caught.value).__name__ in state.error
    assert state.failing_since is not None and state.failing_since >= began
    assert state.last_ok == fine.last_ok and state.polls == fine.polls
    flow.clock.advance(minutes=15)
    with pytest.raises(TagechoError):
        flow.poll()
    again = health(flow, track)
    assert again.failing_since == state.failing_since, "since the first failure"
    assert again.last_attempt is not None and again.last_attempt > state.failing_since
    flow.box.faults.clear()
    flow.pacer.resume(force=True)
    flow.platform.login()
    assert flow.poll().taken.new == 1, "and nothing was lost meanwhile"
    assert health(flow, track).health == "ok"
    assert health(flow, track).failing_since is None


def test_a_hanging_listing(flow: Flow) -> None:
    track = flow.track()
    flow.impatient()
    flow.box.faults.add("hang", SECTIONS)
    with pytest.raises(Unavailable):
        flow.poll()
    assert health(flow, track).health == "failing"
    flow.poll()
    assert health(flow, track).health == "ok"


def test_a_fault_of_our_own_is_a_failure_too(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    track = flow.track()
    flow.post()
    flow.poll()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(flow.ingest, "take", lambda *_: 1 / 0)
        flow.poll()
    assert health(flow, track).health == "failing"


def test_a_profile_that_is_gone_or_private(flow: Flow) -> None:
    missing = flow.track("nobody", TrackKind.PROFILE)
    with pytest.raises(TargetGone):
        flow.poll(missing)
    flow.person("shy", is_private=True)
    flow.post("shy")
    private = flow.track("shy", TrackKind.PROFILE)
    with pytest.raises(TargetPrivate):
        flow.poll(private)
    assert health(flow, missing).health == health(flow, private).health == "failing"


# --- listings ----------------------------------------------------------------------------------


def test_paging_stops_at_what_is_known(flow: Flow) -> None:
    track = flow.track()
    many(flow, 30)
    flow.poll()
    assert flow.pages() == 2 and len(stored(flow, track)) == 30
    flow.poll()
    assert flow.pages() == 3, "one page shows that nothing is new"
    new = many(flow, 40, step=0.5)
    polled = flow.poll()
    assert polled.taken.new == 40 and not polled.gap
    assert flow.pages() == 5 and ids(new) <= stored(flow, track)


def test_a_first_poll_looks_at_so_many_posts_only(flow: Flow) -> None:
    flow.ingest.limits = replace(flow.ingest.limits, first_poll=10, per_poll=30)
    track = flow.track()
    posts = many(flow, 60)
    polled = flow.poll()
    assert polled.taken.new == 10 and not polled.gap
    assert stored(flow, track) == ids(posts[-10:]), "the newest"


def test_a_gap_is_said(flow: Flow) -> None:
    flow.ingest.limits = replace(flow.ingest.limits, per_poll=30)
    track = flow.track()
    many(flow, 3)
    flow.poll()
    flow.clock.advance(hours=2)
    posts = many(flow, 60)
    polled = flow.poll()
    assert polled.gap and ids(posts[-30:]) <= stored(flow, track)


def test_a_gap_stays_visible(flow: Flow) -> None:
    flow.ingest.limits = replace(flow.ingest.limits, per_poll=30)
    track = flow.track()
    many(flow, 3)
    flow.poll()
    assert health(flow, track).last_gap is None
    flow.clock.advance(hours=2)
    many(flow, 60)
    began = flow.clock()
    flow.poll()
    flow.clock.advance(minutes=15)
    assert not flow.poll().gap
    gap = health(flow, track).last_gap
    assert gap is not None and began <= gap < flow.clock() - timedelta(minutes=14)


def test_an_old_known_post_among_new_ones_does_not_end_the_listing(flow: Flow) -> None:
    """Listings of hashtags are not quite in the order of time."""
    track = flow.track()
    old = flow.post("ana", "#sunset", at=flow.clock.time() - 86400)
    flow.poll()
    read = flow.platform.hashtag
    known = read("sunset").posts[0]
    posts = many(flow, 60, step=0.5)

    def hashtag(tag: str, cursor: str | None = None) -> Page:
        page = read(tag, cursor)
        return page if cursor else replace(page, posts=(*page.posts, known))

    flow.platform.hashtag = hashtag  # type: ignore[method-assign]
    assert flow.poll().taken.new == 60
    assert stored(flow, track) == ids([old, *posts])


def test_posts_that_are_never_stored_do_not_keep_the_listing_going(flow: Flow) -> None:
    track = flow.track()
    many(flow, 60)
    forget(flow, "instagram", flow.box.world.user("p3").pk)
    flow.poll()
    before = flow.pages()
    assert not flow.poll().gap and flow.pages() == before + 1
    assert health(flow, track).health == "ok"


def test_known_captions_do_not_hide_tags(flow: Flow) -> None:
    """A caption that mentions us comes with the first page again and again."""
    track = flow.track("", TrackKind.MENTIONS)
    caption = flow.post("ana", "look @imagebot")
    flow.poll()
    assert stored(flow, track) == ids([caption])
    tagged = [flow.post("ben", f"tagged {n}", tags=[tag(flow)]) for n in range(60)]
    assert flow.poll().taken.new == 60
    assert stored(flow, track) == ids([caption, *tagged])


def test_an_empty_page_is_not_the_end(flow: Flow) -> None:
    track = flow.track()
    posts = many(flow, 3)
    read = flow.platform.hashtag

    def hashtag(tag: str, cursor: str | None = None) -> Page:
        return read(tag, None) if cursor == "on" else Page((), "on")

    flow.platform.hashtag = hashtag  # type: ignore[method-assign]
    assert flow.poll().taken.new == 3
    assert stored(flow, track) == ids(posts)


def test_a_listing_without_end_is_left(flow: Flow) -> None:
    track = flow.track()
    many(flow, 3)
    flow.poll()
    asked: list[str | None] = []

    def hashtag(tag: str, cursor: str | None = None) -> Page:
        asked.append(cursor)
        return Page((), f"{tag}, page {len(asked)}")

    flow.platform.hashtag = hashtag  # type: ignore[method-assign]
    assert flow.poll().gap
    assert len(asked) < 10
    assert health(flow, track).health == "quiet"


def test_a_listing_that_is_suddenly_empty_is_said(flow: Flow) -> None:
    """Perhaps the hashtag is hidden from us; perhaps it is true, so it is no failure."""
    track = flow.track()
    posts = many(flow, 3)
    flow.poll()
    for post in posts:
        flow.box.world.delete(post.pk)
    flow.poll()
    state = health(flow, track)
    assert state.health == "quiet" and "empty" in state.error and state.failing_since is None
    flow.post("ana")
    flow.poll()
    state = health(flow, track)
    assert (state.health, state.error) == ("ok", "")


def test_a_post_another_track_found_does_not_end_the_listing(flow: Flow) -> None:
    """Two hashtags overlap: what the first has stored hides nothing from the second."""
    beach, sunset = flow.track("beach"), flow.track("sunset")
    flow.poll(beach)
    flow.poll(sunset)
    posts = many(flow, 60, "#sunset")
    both = many(flow, 5, "#sunset #beach", step=0.5)
    assert flow.poll(beach).taken.new == 5
    assert flow.poll(sunset).taken.new == 60
    assert stored(flow, sunset) == ids(posts) | ids(both)
    assert stored(flow, beach) == ids(both)


def test_an_interrupted_poll_loses_nothing(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    track = flow.track()
    many(flow, 3, step=0.5)
    flow.poll()
    flow.clock.advance(minutes=90)
    posts = many(flow, 70)
    take, calls = flow.ingest._take_batch, 0

    def full(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise StorageError("disk full")
        return take(*args)

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(flow.ingest, "_take_batch", full)
        flow.poll()
    assert len(stored(flow, track)) == 32, "the oldest two batches"
    flow.poll()
    assert stored(flow, track) >= ids(posts)


def test_a_page_that_fails_in_the_middle_loses_nothing(flow: Flow) -> None:
    track = flow.track()
    many(flow, 3)
    flow.poll()
    flow.clock.advance(minutes=90)
    posts = many(flow, 70)
    flow.box.faults.add("server_error", SECTIONS, skip=1)
    with pytest.raises(Unavailable):
        flow.poll()
    flow.poll()
    assert stored(flow, track) >= ids(posts)


def test_posts_of_one_second_on_two_pages(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored oldest first even then: what an interruption leaves out is newer."""
    track = flow.track()
    posts = many(flow, 70, step=0.001)
    flow.ingest.limits = replace(flow.ingest.limits, first_poll=100)
    take, calls = flow.ingest._take_batch, 0

    def full(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StorageError("disk full")
        return take(*args)

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(flow.ingest, "_take_batch", full)
        flow.poll()
    flow.poll()
    assert stored(flow, track) == ids(posts)


def test_pinned_posts_prove_nothing(flow: Flow) -> None:
    track = flow.track("ana", TrackKind.PROFILE)
    pinned = flow.post("ana", "old but pinned", pinned=True, at=flow.clock.time() - 86400 * 300)
    flow.post("ana", "first")
    flow.poll()
    assert row(flow, pinned).pinned
    posts = [flow.post("ana", f"later {n}") for n in range(50)]
    assert flow.poll().taken.new == 50
    assert ids(posts) <= stored(flow, track)


def test_the_first_poll_answers_nothing_old(flow: Flow) -> None:
    track = flow.track(reply="tint")
    for n in range(30):
        flow.asking(f"p{n % 5}", at=flow.clock.time() - 86400 * 1.1 - n * 3600)
    flow.run()
    assert len(stored(flow, track)) == 30 and flow.writes() == []


def test_restarting_polls_what_is_overdue(flow: Flow) -> None:
    seen, new = flow.track("sunset", every=timedelta(hours=1)), flow.track("beach")
    flow.poll(seen)
    with flow.database.read() as session:
        both = [seen, new]
        assert overdue(session, both, flow.clock()) == [new]
        assert overdue(session, both, flow.clock() + timedelta(hours=1)) == both


# --- what changed ------------------------------------------------------------------------------


def test_edits_are_recorded_and_not_overwritten(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", "#sunset one")
    flow.poll()
    flow.box.world.edit(post.pk, "#sunset two")
    flow.poll()
    flow.box.world.edit(post.pk, "#sunset three")
    flow.poll()
    flow.poll()
    assert row(flow, post).caption == "#sunset one"
    assert revisions(flow, post) == [
        ("caption", "#sunset one", "#sunset two"),
        ("caption", "#sunset two", "#sunset three"),
    ]


def test_counts_move_without_an_edit(flow: Flow) -> None:
    flow.track()
    post = flow.post("ana", "#sunset", likes=3)
    flow.poll()
    post.likes = 9
    flow.poll()
    found = row(flow, post)
    assert (found.like_count, found.like_count_latest) == (3, 9) and revisions(flow, post) == []


def test_a_deletion_on_a_profile_is_recorded(flow: Flow) -> None:
    flow.track("ana", TrackKind.PROFILE, reply="tint")
    flow.using(approval=True)
    flow.post("ana", "older")
    post = flow.post("ana", "gone soon")
    flow.post("ana", "newer")
    flow.run()
    assert flow.state(post) == "awaiting_approval"
    flow.box.world.delete(post.pk)
    flow.poll()
    assert row(flow, post).deleted_at is not None
    assert [field for field, _, _ in revisions(flow, post)] == ["deleted"]
    assert flow.state(post) == "cancelled"


@pytest.mark.parametrize("fault", ["server_error", "throttled", "private_account"])
def test_a_failing_look_at_a_vanished_post_fails_no_poll(flow: Flow, fault: str) -> None:
    track = flow.track("ana", TrackKind.PROFILE)
    posts = [flow.post("ana", f"number {n}") for n in range(6)]
    flow.poll()
    for post in posts[1:]:
        flow.box.world.delete(post.pk)
    new = flow.post("ana", "newer")
    flow.box.faults.add(fault, "/api/v1/media/*/info/", count=0)
    assert flow.poll().taken.new == 1
    assert health(flow, track).health == "ok" and ids([new]) <= stored(flow, track)
    assert len(flow.box.journal.requests("/info/")) == 1, "and no second one after it"


def test_posts_that_are_there_but_not_listed_hide_no_deletion(flow: Flow) -> None:
    flow.track("ana", TrackKind.PROFILE)
    posts = [flow.post("ana", f"number {n}") for n in range(8)]
    flow.poll()
    read, asked = flow.platform.profile, flow.platform.post
    seen: set[str] = set()

    def profile(username: str, cursor: str | None = None) -> Page:
        page = read(username, cursor)
        return replace(page, posts=page.posts[-1:])

    def post(post_id: str) -> Any:
        seen.add(post_id)
        return asked(post_id)

    flow.platform.profile = profile  # type: ignore[method-assign]
    flow.platform.post = post  # type: ignore[method-assign]
    for _ in range(30):  # three of seven each time
        flow.poll()
    assert seen == ids(posts[1:])


def test_a_profile_that_deleted_everything(flow: Flow) -> None:
    flow.track("ana", TrackKind.PROFILE)
    posts = [flow.post("ana", f"number {n}") for n in range(2)]
    flow.poll()
    for post in posts:
        flow.box.world.delete(post.pk)
    flow.poll()
    assert all(row(flow, post).deleted_at for post in posts)


def test_a_name_that_changes_hands_stops_its_track_until_somebody_says_so(
    flow: Flow, tmp_path: Path
) -> None:
    track = flow.track("ana", TrackKind.PROFILE)
    first = flow.post("ana", "mine")
    flow.poll()
    followed = health(flow, track).user_id
    flow.box.world.rename("ana", "ana.new")
    flow.person("ana")
    other = flow.post("ana", "somebody else's")
    with pytest.raises(NameTaken, match=f"@ana is user \\d+ now and was user {followed}"):
        flow.poll()
    assert stored(flow, track) == ids([first]), "nothing of the other one"
    state = health(flow, track)
    assert (state.health, state.user_id) == ("failing", followed)
    assert "track accept @ana" in state.error
    assert accept(Settings(data=Data(dir=tmp_path)), "ANA") == [track.key]
    flow.poll()
    assert stored(flow, track) == ids([first, other])
    assert health(flow, track).health == "ok"


def test_a_new_track_of_a_name_that_changed_hands_before(flow: Flow, tmp_path: Path) -> None:
    """By a hashtag we knew who had the name; the profile that is tracked now is another's."""
    hashtag = flow.track()
    flow.post("ana")
    flow.poll(hashtag)
    flow.box.world.rename("ana", "ana.new")
    flow.person("ana")
    other = flow.post("ana", "somebody else's")
    track = flow.track("ana", TrackKind.PROFILE)
    with pytest.raises(NameTaken, match=r"@ana is user \d+ now and was user \d+"):
        flow.poll(track)
    accept(Settings(data=Data(dir=tmp_path)), "ana")
    flow.poll(track)
    assert stored(flow, track) == ids([other])


def test_who_was_ignored_by_name_is_ignored_under_the_next_one(flow: Flow) -> None:
    flow.using(ignore=frozenset({"ana"}))
    flow.track("ana", TrackKind.PROFILE, reply="tint")
    flow.post("ana", "one")
    flow.poll()
    flow.box.world.rename("ana", "ana.new")
    renamed = flow.track("ana.new", TrackKind.PROFILE, reply="tint")
    flow.post("ana.new", "two")
    flow.poll(renamed)
    with flow.database.read() as session:
        assert set(session.exec(select(PostTrack.decision))) == {"on the ignore list"}


def test_a_renamed_author_is_the_same_person(flow: Flow) -> None:
    flow.track()
    first = flow.post("ana", "#sunset")
    flow.poll()
    flow.box.world.rename("ana", "ana.new")
    second = flow.post("ana.new", "#sunset")
    flow.poll()
    assert row(flow, first).author_id == row(flow, second).author_id
    with flow.database.read() as session:
        person = session.get_one(AuthorRow, ("instagram", first.user_pk))
        names = set(session.exec(select(AuthorName.username)))
    assert person.username == "ana.new" and names == {"ana", "ana.new"}
    assert forget(flow, "instagram", "ana")["posts"] == 2, "by a former name"


def test_the_caps_follow_the_person_and_not_the_name(flow: Flow) -> None:
    flow.track()
    first = flow.asking("ana")
    flow.run()
    flow.box.world.rename("ana", "ana.new")
    second = flow.asking("ana.new")
    flow.run()
    assert (flow.published(first), flow.published(second)) == (1, 0)


# --- people who are not to be here -------------------------------------------------------------


def test_opted_out_people_are_kept_out(flow: Flow) -> None:
    track = flow.track()
    flow.post("ana", "#sunset")
    stays = flow.post("ben", "#sunset")
    flow.poll()
    forget(flow, "instagram", "ana")
    flow.post("ana", "#sunset again")
    polled = flow.poll()
    assert polled.taken.kept_out == 2 and stored(flow, track) == ids([stays])
    downloads = flow.box.journal.requests("/m/u/plain")
    assert len(downloads) == 2, "their image was not even fetched again"


def test_opting_out_while_the_images_are_on_their_way(flow: Flow) -> None:
    track = flow.track()
    person = flow.box.world.add_user("ana")
    flow.asking("ana")
    download = flow.platform.download

    def and_opt_out(media: Media, max_bytes: int) -> bytes:
        forget(flow, "instagram", person.pk)
        return download(media, max_bytes)

    flow.platform.download = and_opt_out  # type: ignore[method-assign]
    flow.poll()
    assert stored(flow, track) == set()


def test_opting_out_while_a_reply_is_rendered(flow: Flow) -> None:
    flow.track()
    post = flow.asking("ana")
    flow.poll()
    segmenter = flow.stages.segmenter

    def and_forget() -> Any:
        forget(flow, "instagram", "ana")
        return segmenter()

    flow.stages.segmenter = and_forget  # type: ignore[method-assign]
    flow.render()
    flow.publish()
    assert flow.writes() == []
    assert list(flow.artifacts.root.rglob("??/??/*")) == [], "an image of them stayed"
    assert flow.state(post) in ("", "cancelled")


# --- posts that cannot be stored ---------------------------------------------------------------


def test_a_count_beyond_all_databases(flow: Flow) -> None:
    track = flow.track()
    loved = flow.post("ana", "#sunset", likes=2**63)
    assert flow.poll().taken.new == 1
    assert row(flow, loved).like_count == 2**63 - 1
    assert health(flow, track).health == "ok"


def poisoned(flow: Flow, monkeypatch: pytest.MonkeyPatch, *bad: Post) -> None:
    """From now on the platform gives these posts a number that no database takes."""
    read = flow.platform.hashtag

    def hashtag(tag: str, cursor: str | None = None) -> Page:
        page = read(tag, cursor)
        posts = (
            replace(post, like_count=2**70) if post.post_id in ids([*bad]) else post
            for post in page.posts
        )
        return replace(page, posts=tuple(posts))

    monkeypatch.setattr(flow.platform, "hashtag", hashtag)


def test_one_bad_post_does_not_hold_up_the_others(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = flow.track()
    before, bad, after = (flow.asking(name) for name in ("ana", "ben", "eve"))
    poisoned(flow, monkeypatch, bad)
    polled = flow.poll()
    assert (polled.taken.new, polled.taken.skipped, polled.taken.triggers) == (2, 1, 2)
    assert stored(flow, track) == ids([before, after])
    state = health(flow, track)
    assert (state.health, state.failing_since) == ("ok", None)
    later = flow.post("zoe")
    assert flow.poll().taken.new == 1 and ids([later]) <= stored(flow, track)


def test_a_poll_that_can_store_nothing_fails(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a fault of ours would look like nothing new."""
    track = flow.track()
    poisoned(flow, monkeypatch, flow.post("ana"), flow.post("ben"))
    with pytest.raises(StorageError, match="none of 2 posts"):
        flow.poll()
    assert health(flow, track).health == "failing"


def test_an_error_is_written_down_whatever_it_says(flow: Flow) -> None:
    track = flow.track()

    def hashtag(tag: str, cursor: str | None = None) -> Page:
        raise Unavailable("cut \ud83d\x00 off")

    flow.platform.hashtag = hashtag  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        flow.poll()
    assert health(flow, track).error == "Unavailable: cut ? off"


# --- what it costs -----------------------------------------------------------------------------


@contextmanager
def statements(flow: Flow) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(flow.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(flow.database.engine, "before_cursor_execute", note)


def fill(flow: Flow, track: Track, count: int, before: datetime) -> None:
    """Stored posts of long ago, found by this track."""
    with flow.database.write() as session:
        rows = [
            PostRow(
                platform="instagram", post_id=f"{10_000 + n}", author_id="7", url="", caption="",
                taken_at=before - timedelta(minutes=n), first_seen=before, last_seen=before,
                content_hash="", raw={},
            )
            for n in range(count)
        ]  # fmt: skip
        session.add_all(rows)
        session.flush()
        session.add_all(
            PostTrack(post=made.id or 0, track=track.key, found_at=before) for made in rows
        )


@pytest.mark.parametrize("kind", [TrackKind.HASHTAG, TrackKind.PROFILE], ids=str)
def test_the_cost_of_a_poll_does_not_grow_with_the_dataset(flow: Flow, kind: TrackKind) -> None:
    track = flow.track("ana" if kind is TrackKind.PROFILE else "sunset", kind)
    for n in range(40):
        flow.post("ana", f"#sunset {n}", at=flow.clock.time() - n * 60 - 1)
    flow.poll()

    def cost() -> tuple[int, int, int]:
        flow.post("ana", "#sunset")
        requests = len(flow.box.journal.requests())
        with statements(flow) as seen:
            new = flow.poll().taken.new
        return new, len(flow.box.journal.requests()) - requests, len(seen)

    cost()  # the first time the author is asked for
    few = cost()
    fill(flow, track, 5_000, flow.clock() - timedelta(days=30))
    assert cost() == few
    assert few[0] == 1


def test_posts_that_are_seen_again_cost_no_statements_of_their_own(flow: Flow) -> None:
    """Most of a listing is known: what is asked of the database is asked for many at once."""
    costs = []
    for track, posts in ((flow.track("few"), 2), (flow.track("many"), 12)):
        for n in range(posts):
            flow.post(f"person{n}", f"#{track.name} {n}")
        flow.poll(track)
        with statements(flow) as seen:
            assert flow.poll(track).taken.new == 0
        costs.append(len(seen))
    few, many = costs
    assert many == few


def test_a_mention_in_any_script(flow: Flow) -> None:
    flow.track()
    captions = (
        "صورة جميلة @imagebot #sunset",
        "今日の夕焼け、@imagebot #sunset",
        "👨‍👩‍👧‍👦🏳️‍🌈 @imagebot! #sunset 🌅",
        "#sunset\u200f @imagebot\u202c \u0000 nul",
        "Z̸̛͉a̵l̶g̷o̴ @imagebot. #sunset",
        "\ud83d broken half @imagebot #sunset",
        "#sunset @imagebot " + "长" * 10_000,
        "#sunset @imagebot " + "😀" * 10_000,
    )
    flow.using(per_day=100, caption="For @{author}, from {url}", comment="{author}: {url}")
    posts = [flow.post(f"p{n}", caption) for n, caption in enumerate(captions)]
    flow.run()
    assert [flow.published(post) for post in posts] == [1] * len(posts)
    found = row(flow, posts[1])
    assert found.caption == captions[1]
    assert row(flow, posts[6]).caption == captions[6]
    with flow.database.read() as session:
        assert len(session.exec(select(PostMention)).all()) == len(captions)
