"""Forgetting, judged by the network: what of ours is deleted there, how often that is tried, and
what does not come back."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select, update

from bot.core.errors import LoginRequired, UsageError
from bot.core.events import Receipt, Step, TrackKind
from bot.flow.fetch import Limits
from bot.flow.forget import forget, forget_post, gone_at_source
from bot.flow.ingest import Ingest
from bot.flow.policy import Deleted
from bot.flow.poll import Poller
from bot.flow.retract import MAX_ATTEMPTS, PATIENCE, Retractor
from bot.platforms.instagram.deletion import DELETION
from bot.platforms.instagram.kinds import Mode, StepKind
from bot.platforms.sandbox.things import Post
from storage import retractions
from storage.tables import MediaRow, OptOut, PostRow, Reply, Retraction
from tests.flow.kit import Flow, served
from tests.pictures import plain_jpeg

DELETE = "*/media/*/delete/"


def retract(flow: Flow, minutes: int = 0) -> None:
    """What the account's thread does now, and again every minute for so long."""
    for minute in range(minutes + 1):
        while Retractor(flow.database, flow.platform, flow.clock).next():
            pass
        if minute < minutes:
            flow.clock.advance(minutes=1)


def rows(flow: Flow) -> list[Retraction]:
    with flow.database.read() as session:
        return retractions.listing(session)


def deleted(flow: Flow) -> list[str]:
    """Ids of what our account deleted, by the journal."""
    return [write["ids"]["pk"] for write in flow.writes("delete")]


def requests(flow: Flow) -> int:
    """Deletions that reached the network, with whatever answer."""
    return len(flow.box.journal.requests("/delete/", method="POST"))


def answered(flow: Flow, author: str = "ana", **policy: Any) -> Post:
    flow.track()
    flow.using(**policy)
    post = flow.asking(author)
    flow.run()
    assert flow.published(post) == 1
    return post


def test_our_reply_is_deleted_and_only_that(flow: Flow) -> None:
    flow.using(per_author_per_day=9)
    post = answered(flow)
    other = flow.asking("ben")
    flow.run()
    counts = forget(flow, "instagram", "ana")
    assert (counts["posts"], counts["deletions"], counts["published_replies_left"]) == (1, 1, 0)
    retract(flow)
    made = {write["source"]: write["ids"]["pk"] for write in flow.writes("post")}
    assert deleted(flow) == [made[post.code]]
    assert not flow.box.world.posts[int(made[other.code])].deleted
    assert [row.state for row in rows(flow)] == ["done"]
    retract(flow, 3)
    assert requests(flow) == 1


@pytest.mark.parametrize(
    ("mode", "comment", "wanted"),
    [
        (Mode.STORY, "", ["story"]),
        (Mode.POST, "look, {author}", ["post", "comment"]),
        (Mode.DM, "", ["dm_text", "dm_photo"]),
    ],
)
def test_whatever_the_way_of_replying(
    flow: Flow, mode: Mode, comment: str, wanted: list[str]
) -> None:
    flow.track()
    flow.using(mode=mode, comment=comment)
    flow.asking()
    flow.run()
    shown = [w for w in flow.writes() if w["kind"] in wanted]
    assert [w["kind"] for w in shown] == wanted
    assert forget(flow, "instagram", "ana")["deletions"] == len(wanted)
    retract(flow)
    assert sorted(deleted(flow)) == sorted(
        w["ids"].get("pk", w["ids"].get("item_id")) for w in shown
    )
    assert {row.state for row in rows(flow)} == {"done"}


def test_what_is_gone_already_counts_as_done(flow: Flow) -> None:
    answered(flow)
    (write,) = flow.writes("post")
    flow.box.world.delete(write["ids"]["pk"])
    forget(flow, "instagram", "ana")
    retract(flow, 3)
    assert [row.state for row in rows(flow)] == ["gone"]
    assert (deleted(flow), requests(flow)) == ([], 1)


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_looked_for_before_it_is_sent_again(flow: Flow, applied: bool) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("drop", path=DELETE, after=applied)
    retract(flow)
    assert [(row.state, row.attempts) for row in rows(flow)] == [("waiting", 1)]
    retract(flow, 2)
    assert [row.state for row in rows(flow)] == ["done"]
    assert requests(flow) == (1 if applied else 2)
    assert len(deleted(flow)) == 1


def test_a_crash_after_the_request_left(flow: Flow) -> None:
    """The row says that it was sent; a new process looks first."""
    answered(flow)
    forget(flow, "instagram", "ana")
    delete = flow.platform.delete

    def and_die(*args: Any) -> None:
        delete(*args)
        raise KeyboardInterrupt

    flow.platform.delete = and_die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        retract(flow)
    flow.platform.delete = delete  # type: ignore[method-assign]
    assert [(row.state, row.attempts) for row in rows(flow)] == [("waiting", 1)]
    retract(flow, 2)
    assert ([row.state for row in rows(flow)], requests(flow)) == (["done"], 1)


def test_too_fast_is_no_attempt(flow: Flow) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("throttled", path=DELETE, retry_after=600)
    retract(flow, 5)
    assert [(row.state, row.attempts) for row in rows(flow)] == [("waiting", 0)]
    assert requests(flow) == 1, "nothing is asked while the breaker is open"
    retract(flow, 15)
    assert ([row.state for row in rows(flow)], requests(flow)) == (["done"], 2)


@pytest.mark.parametrize("fault", ["login_required", "challenge_required"])
def test_a_session_that_ended_is_no_attempt(flow: Flow, fault: str) -> None:
    """The worker hears of one that a login mends; the other waits for a person."""
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add(fault, path=DELETE)
    with pytest.raises(LoginRequired) if fault == "login_required" else nullcontext():
        retract(flow)
    assert [(row.state, row.attempts) for row in rows(flow)] == [("waiting", 0)]
    flow.pacer.resume()
    flow.platform.login()
    retract(flow, 65)
    assert ([row.state for row in rows(flow)], len(deleted(flow))) == (["done"], 1)


@pytest.mark.parametrize("fault", ["private_account", "html"])
def test_a_look_that_tells_nothing_keeps_nothing_back(flow: Flow, fault: str) -> None:
    """It is put off, the account goes on with its other work, and some day a person is asked."""
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("drop", path=DELETE)
    retract(flow)
    flow.box.faults.add(fault, path="*/info/", count=0)
    flow.clock.advance(minutes=1)
    retractor = Retractor(flow.database, flow.platform, flow.clock)
    assert (retractor.next(), retractor.next()) == (True, False)
    assert [(row.state, row.attempts) for row in rows(flow)] == [("waiting", 1)]
    assert requests(flow) == 1, "not sent again without a look"
    looks = 0
    for _ in range(12 * 24):  # a day in steps of five minutes
        flow.clock.advance(minutes=5)
        looks += retractor.next()
    assert 2 < looks < 30, "ever more rarely: each costs a read of the account's"
    flow.clock.advance(seconds=(PATIENCE + timedelta(hours=1)).total_seconds())
    retract(flow)
    [row] = rows(flow)
    assert (row.state, row.error.startswith("given up: ")) == ("failed", True)


def test_a_blocked_deletion_keeps_no_reply_back(flow: Flow) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("feedback_required", path=DELETE, count=0)
    retract(flow)
    later = flow.asking("ben")
    flow.run()
    assert flow.published(later) == 1
    flow.clock.advance(hours=10)
    retract(flow)
    assert requests(flow) == 1, "blocked for a day"


def test_refused_again_and_again_is_given_up_and_shown(flow: Flow) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("dm_refused", path=DELETE, count=0)
    retract(flow, 60)
    (row,) = rows(flow)
    assert (row.state, requests(flow)) == ("failed", MAX_ATTEMPTS)
    assert "still there" in row.error
    flow.box.faults.clear()
    with flow.database.write() as session:
        assert retractions.again(session, flow.clock()) == 1
    retract(flow)
    assert len(deleted(flow)) == 1


def test_an_account_that_may_not_delete_gives_up_some_day(flow: Flow) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.box.faults.add("throttled", path=DELETE, count=0, retry_after=3600)
    retract(flow)
    flow.clock.advance(seconds=(PATIENCE + timedelta(hours=1)).total_seconds())
    retract(flow)
    assert [row.state for row in rows(flow)] == ["failed"]


@pytest.mark.parametrize(("hours", "state"), [(23, "done"), (25, "gone")])
def test_what_ends_by_itself_is_not_asked_for(flow: Flow, hours: int, state: str) -> None:
    """A story lasts a day; its deletion may have waited longer, for a pause or a limit."""
    answered(flow, mode=Mode.STORY)
    forget(flow, "instagram", "ana")
    with flow.database.write() as session:
        asked = flow.clock() - timedelta(hours=hours)
        session.exec(update(Retraction).values(created=asked))
    assert Retractor(flow.database, flow.platform, flow.clock, DELETION).next()
    assert [(row.kind, row.state) for row in rows(flow)] == [("story", state)]
    assert requests(flow) == (state == "done")


def test_the_kill_switch_holds_deletions(flow: Flow) -> None:
    answered(flow)
    forget(flow, "instagram", "ana")
    flow.pause()
    retract(flow, 3)
    assert requests(flow) == 0
    flow.pause(on=False)
    retract(flow, 2)
    assert len(deleted(flow)) == 1


def test_forgotten_while_a_write_is_in_the_air(flow: Flow) -> None:
    """What was published after all is deleted as well."""
    flow.track()
    flow.asking("ana")
    flow.poll()
    flow.render()
    send = flow.platform.send

    def and_forget(step: Step) -> Receipt:
        receipt = send(step)
        if step.kind is StepKind.POST:
            forget(flow, "instagram", "ana")
        return receipt

    flow.platform.send = and_forget  # type: ignore[method-assign]
    flow.publish()
    retract(flow, 1)
    assert deleted(flow) == [write["ids"]["pk"] for write in flow.writes("post")] != []


# --- a post ------------------------------------------------------------------------------------


def test_a_post_goes_and_stays_out_and_its_author_stays(flow: Flow) -> None:
    flow.track()
    flow.using(per_author_per_day=9)
    post = flow.asking(
        "ana", pictures=[served(flow.box, "one", plain_jpeg((1080, 1080), (9, 9, 9)))]
    )
    other = flow.asking("ana")
    flow.run()
    counts = forget_post(flow, "instagram", str(post.pk))
    assert (counts["posts"], counts["deletions"]) == (1, 1)
    retract(flow)
    made = {write["source"]: write["ids"]["pk"] for write in flow.writes("post")}
    assert deleted(flow) == [made[post.code]]
    assert flow.poll().taken.kept_out == 1
    flow.run()
    with flow.database.read() as session:
        assert [row.post_id for row in session.exec(select(PostRow))] == [str(other.pk)]
        [tombstone] = session.exec(select(OptOut)).all()
    assert str(post.pk) not in tombstone.digest
    assert flow.published(post) == 1, "never answered again"


def test_a_post_never_collected_is_kept_out_all_the_same(flow: Flow) -> None:
    flow.track()
    post = flow.asking("ana")
    assert forget_post(flow, "instagram", str(post.pk))["posts"] == 0
    assert flow.poll().taken.kept_out == 1
    flow.run()
    assert flow.writes() == []


def test_a_post_forgotten_between_two_writes(flow: Flow) -> None:
    flow.track()
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    send = flow.platform.send

    def and_forget(step: Step) -> Receipt:
        receipt = send(step)
        forget_post(flow, "instagram", str(post.pk))
        return receipt

    flow.platform.send = and_forget  # type: ignore[method-assign]
    flow.publish()
    flow.settle(5)
    assert [write["kind"] for write in flow.writes()] == ["upload"]


# --- deleted at the source ---------------------------------------------------------------------


def files(flow: Flow) -> int:
    stores = (flow.originals, flow.artifacts)
    return sum(len(list(store.root.glob("??/??/*"))) for store in stores)


@pytest.mark.parametrize("treat", list(Deleted))
@pytest.mark.parametrize("seen_by", ["poll", "publish"])
def test_posts_deleted_at_the_source(flow: Flow, treat: Deleted, seen_by: str) -> None:
    stores = (flow.originals, flow.artifacts)
    track = flow.track("ana", TrackKind.PROFILE)
    flow.using(deleted_posts=treat, approval=True)
    flow.poller = Poller(flow.database, flow.ingest, flow.clock, files=stores)
    post = flow.asking("ana")
    flow.poll(track)
    flow.render()
    before = files(flow)
    assert before > 1
    flow.box.world.delete(post.pk)
    if seen_by == "poll":
        flow.poll(track)
    else:
        flow.approve(post)
        assert flow.publisher(stores).next(flow.tracks)
    with flow.database.read() as session:
        posts = session.exec(select(PostRow)).all()
        media = session.exec(select(MediaRow)).all()
        replies = session.exec(select(Reply)).all()
        assert session.exec(select(OptOut)).all() == []
    assert flow.writes() == []
    if treat is Deleted.REMOVE:
        assert (posts, media, replies, files(flow)) == ([], [], [], 0)
        return
    assert [(row.deleted_at is not None, row.caption) for row in posts] == [(True, post.caption)]
    assert flow.state(post) == "cancelled"
    if treat is Deleted.KEEP:
        assert (media[0].state, files(flow)) == ("stored", before)
    else:
        assert (media[0].state, media[0].sha256, files(flow)) == ("gone", None, 0)


def deleted_posts(flow: Flow) -> list[bool]:
    """Of every stored post: is it marked?"""
    with flow.database.read() as session:
        return [row.deleted_at is not None for row in session.exec(select(PostRow))]


@pytest.mark.parametrize("treat", list(Deleted))
def test_noticed_when_a_missing_image_is_looked_for(flow: Flow, treat: Deleted) -> None:
    def gone(row_id: int, why: str) -> None:
        gone_at_source(flow.database, (flow.originals,), row_id, treat, flow.clock(), why)

    flow.ingest = Ingest(flow.archive, Limits(), flow.clock, gone=gone)
    flow.poller = Poller(flow.database, flow.ingest, flow.clock)
    flow.track()
    pictures = [served(flow.box, f"a{n}", plain_jpeg((1080, 1080), (n, 9, 9))) for n in range(2)]
    flow.box.faults.add("server_error", "*/m/u/a1*", count=0)
    post = flow.asking("ana", kind="album", pictures=pictures)
    flow.poll()
    assert files(flow) == 1
    flow.clock.advance(minutes=1)
    flow.box.faults.add("server_error", "*/info/")
    assert flow.ingest.retry_pending(flow.platform) == 1
    assert deleted_posts(flow) == [False], "no answer is no deletion"
    flow.box.world.delete(post.pk)
    flow.clock.advance(minutes=1)
    assert flow.ingest.retry_pending(flow.platform) == 1
    flow.clock.advance(hours=9)
    assert flow.ingest.retry_pending(flow.platform) == 0, "nothing is asked for again"
    assert deleted_posts(flow) == ([] if treat is Deleted.REMOVE else [True])
    assert files(flow) == (treat is Deleted.KEEP)
    assert flow.state(post) == ("" if treat is Deleted.REMOVE else "cancelled")


@pytest.mark.parametrize("really", [True, False])
def test_noticed_when_a_comment_in_doubt_is_looked_for(flow: Flow, really: bool) -> None:
    """Where only the comments cannot be read, the post stays, and so does our reply."""
    flow.track()
    flow.using(comment="look, {author}", deleted_posts=Deleted.REMOVE)
    post = flow.asking("ana")
    flow.poll()
    flow.render()
    flow.box.faults.add("drop", write="comment")
    flow.publish()
    assert flow.published(post) == 1
    if really:
        flow.box.world.delete(post.pk)
    else:
        flow.box.faults.add("not_found", "*/comments/", count=0)
    flow.clock.advance(minutes=5)
    flow.reconcile()
    assert deleted_posts(flow) == ([] if really else [False])
    retract(flow)
    assert len(deleted(flow)) == really


def test_a_name_of_two_people_forgets_nobody_until_an_id_is_said(flow: Flow) -> None:
    flow.track()
    first = flow.post("ana", "#sunset one")
    flow.poll()
    followed = first.user_pk
    flow.box.world.rename("ana", "ana.new")
    flow.person("ana")
    taker = flow.box.world.user("ana").pk
    flow.post("ana", "#sunset two")
    flow.poll()
    with pytest.raises(UsageError) as told:
        forget(flow, "instagram", "ana")
    assert followed in str(told.value) and taker in str(told.value)
    with flow.database.read() as session:
        assert len(session.exec(select(PostRow)).all()) == 2
        assert session.exec(select(OptOut)).all() == []
    assert forget(flow, "instagram", followed)["posts"] == 1
    with flow.database.read() as session:
        assert [row.author_id for row in session.exec(select(PostRow))] == [taker]
    assert forget(flow, "instagram", "ana")["posts"] == 1, "now it is one person's name"
