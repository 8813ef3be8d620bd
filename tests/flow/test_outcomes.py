"""Every way of replying, and everything that may come back: exactly one reply, by the journal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.errors import AuthError, StorageError, UsageError
from bot.platforms.instagram.kinds import Mode
from bot.platforms.sandbox.things import Post
from storage import outbox, steps
from storage.tables import Reply, ReplyState
from tests.flow.kit import Flow

S = ReplyState
ALL = tuple(Mode)
SHOWN = {Mode.POST: "post", Mode.STORY: "story", Mode.DM: "dm_photo"}  # the write people see
KINDS = {
    Mode.POST: ["upload", "post"],
    Mode.STORY: ["upload", "story"],
    Mode.DM: ["dm_upload", "dm_text", "dm_photo"],
}


@pytest.fixture(params=ALL, ids=str)
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


def ready(flow: Flow, mode: Mode, author: str = "ana", **policy: Any) -> Post:
    """A post that asks, its reply rendered and approved."""
    flow.using(mode=mode, **policy)
    flow.track()
    post = flow.asking(author)
    flow.poll()
    flow.render()
    assert flow.state(post) == "approved"
    return post


def attempts(flow: Flow, write: str) -> int:
    """Requests of this kind that reached the network, applied or not."""
    paths = {
        "upload": "/rupload_igphoto/",
        "post": "/media/configure/",
        "story": "/media/configure_to_story/",
        "dm_text": "/broadcast/link/",
        "dm_upload": "/messenger_image/",
        "dm_photo": "/broadcast/photo_attachment/",
        "comment": "/comment/",
    }
    return len(flow.box.journal.requests(paths[write], method="POST"))


def kinds(flow: Flow) -> list[str]:
    return [write["kind"] for write in flow.writes()]


def sent_once(flow: Flow, post: Post, mode: Mode) -> None:
    assert flow.published(post) == 1
    assert flow.box.journal.duplicate_replies() == 0
    assert len(flow.writes(SHOWN[mode])) == 1
    assert flow.state(post) == "sent"


# --- the normal way ----------------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["", "for @{author}: {url} in {style}"])
def test_the_normal_way(flow: Flow, mode: Mode, comment: str) -> None:
    post = ready(flow, mode, comment=comment)
    flow.publish()
    sent_once(flow, post, mode)
    assert kinds(flow) == KINDS[mode] + ["comment"] * bool(comment)
    if comment:
        (write,) = flow.writes("comment")
        assert write["ids"]["text"] == f"for @ana: {post.url} in echo"
    reply = flow.reply(post)
    assert reply is not None and reply.mode == mode and reply.sent_at is not None
    if mode is not Mode.DM:
        assert reply.url


def test_the_published_image_is_the_rendered_one(flow: Flow, mode: Mode) -> None:
    post = ready(flow, mode)
    flow.publish()
    (write,) = flow.writes("dm_upload" if mode is Mode.DM else "upload")
    reply = flow.reply(post)
    assert reply is not None and write["ids"]["sha256"] == reply.after_sha256
    stored = flow.artifacts.get(reply.after_sha256 or "")
    assert hashlib.sha256(stored).hexdigest() == write["ids"]["sha256"]


def test_braces_in_a_template_break_nothing(flow: Flow) -> None:
    post = ready(flow, Mode.POST, caption="{author} {unknown} {0} {", comment="{url}{}")
    flow.publish()
    sent_once(flow, post, Mode.POST)
    made = flow.box.world.post(flow.writes("post")[0]["ids"]["pk"])
    assert made.caption.startswith("ana {unknown} {0} {") and post.url in made.caption


# --- refusals ----------------------------------------------------------------------------------


def test_a_refused_message_falls_back_to_a_post(flow: Flow) -> None:
    flow.person("no.messages", takes_dms=False)
    post = ready(flow, Mode.DM, "no.messages", fallback=(Mode.POST,))
    flow.publish()
    sent_once(flow, post, Mode.POST)
    assert kinds(flow) == ["dm_upload", "upload", "post"]
    reply = flow.reply(post)
    assert reply is not None and reply.mode == "post"


def test_a_refusal_without_another_way_fails(flow: Flow) -> None:
    flow.person("no.messages", takes_dms=False)
    post = ready(flow, Mode.DM, "no.messages")
    flow.publish()
    flow.settle(5)
    assert flow.state(post) == "failed" and kinds(flow) == ["dm_upload"]  # which nobody sees
    assert attempts(flow, "dm_text") == 1


def test_a_fallback_that_was_held_goes_on_where_it_was(flow: Flow) -> None:
    """The configured ways changed meanwhile: what was refused is not tried again."""
    flow.person("no.messages", takes_dms=False)
    post = ready(flow, Mode.DM, "no.messages", fallback=(Mode.POST, Mode.STORY))
    flow.box.faults.add("throttled", write="post", retry_after=30)
    flow.publish()
    assert flow.state(post) == "approved"
    flow.using(mode=Mode.STORY, fallback=(Mode.DM, Mode.POST))
    flow.settle(3)
    sent_once(flow, post, Mode.POST)
    assert attempts(flow, "dm_text") == 1
    assert [step.mode for step in flow.steps(post)] == ["dm"] * 3 + ["post"] * 2


def test_a_refused_comment_leaves_the_image(flow: Flow) -> None:
    post = ready(flow, Mode.POST, comment="look: {url}")
    flow.box.faults.add("not_found", write="comment")
    flow.publish()
    sent_once(flow, post, Mode.POST)
    assert flow.reason(post).startswith("comment not sent")
    flow.settle(5)
    assert flow.writes("comment") == []


# --- answers that never came, or not in full ---------------------------------------------------


def test_dropped_before_it_was_applied(flow: Flow, mode: Mode) -> None:
    post = ready(flow, mode)
    flow.box.faults.add("drop", write=SHOWN[mode])
    flow.publish()
    assert flow.state(post) == "unknown" and flow.published(post) == 0
    assert attempts(flow, SHOWN[mode]) == 1
    flow.settle(5)
    sent_once(flow, post, mode)
    assert attempts(flow, SHOWN[mode]) == 2


@pytest.mark.parametrize(
    "fault", ["drop", "truncated", "cut_json", "html", "server_error", "empty"]
)
def test_applied_and_the_answer_lost(flow: Flow, mode: Mode, fault: str) -> None:
    post = ready(flow, mode)
    flow.box.faults.add(fault, write=SHOWN[mode], after=True)
    flow.publish()
    assert flow.state(post) == "unknown" and flow.published(post) == 1
    flow.settle(5)
    sent_once(flow, post, mode)
    assert attempts(flow, SHOWN[mode]) == 1, "it was sent again"


@pytest.mark.parametrize("fault", ["server_error", "unavailable", "html", "request_timeout"])
def test_not_applied_and_no_clear_answer(flow: Flow, fault: str) -> None:
    post = ready(flow, Mode.POST)
    flow.box.faults.add(fault, write="post")
    flow.publish()
    assert flow.state(post) == "unknown" and flow.published(post) == 0
    flow.clock.advance(seconds=25)
    flow.reconcile()
    flow.publish()
    assert attempts(flow, "post") == 1, "one reading is not enough"
    flow.settle(4)
    sent_once(flow, post, Mode.POST)


@pytest.mark.parametrize("after", [False, True])
def test_a_hanging_answer(flow: Flow, mode: Mode, after: bool) -> None:
    post = ready(flow, mode)
    flow.impatient()
    flow.box.faults.add("hang", write=SHOWN[mode], after=after)
    flow.publish()
    assert flow.state(post) == "unknown"
    flow.settle(5)
    sent_once(flow, post, mode)
    assert attempts(flow, SHOWN[mode]) == 1 + (not after)


@pytest.mark.parametrize("fault", ["drop", "server_error", "html"])
def test_an_upload_is_simply_repeated(flow: Flow, fault: str) -> None:
    post = ready(flow, Mode.POST)
    flow.box.faults.add(fault, write="upload", count=2)
    flow.publish()
    flow.settle(3)
    sent_once(flow, post, Mode.POST)
    assert attempts(flow, "upload") == 3


def test_an_upload_that_keeps_failing_fails(flow: Flow) -> None:
    post = ready(flow, Mode.POST)
    flow.box.faults.add("server_error", write="upload", count=0)
    flow.publish()
    flow.settle(10)
    assert flow.state(post) == "failed" and attempts(flow, "upload") == 3


def test_the_text_that_opens_a_thread_is_sent_once(flow: Flow) -> None:
    post = ready(flow, Mode.DM)
    flow.box.faults.add("drop", write="dm_text", after=True)
    flow.publish()
    assert flow.state(post) == "unknown"
    flow.settle(5)
    sent_once(flow, post, Mode.DM)
    assert kinds(flow) == KINDS[Mode.DM]


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_comment_appears_once(flow: Flow, after: bool) -> None:
    post = ready(flow, Mode.POST, comment="look: {url}")
    flow.box.faults.add("drop", write="comment", after=after)
    flow.publish()
    flow.settle(5)
    sent_once(flow, post, Mode.POST)
    assert len(flow.writes("comment")) == 1


# --- answers that say wait, or stop ------------------------------------------------------------


def test_retry_after_is_honoured_on_a_write(flow: Flow, mode: Mode) -> None:
    post = ready(flow, mode)
    flow.box.faults.add("throttled", write=SHOWN[mode], retry_after=600)
    flow.publish()
    assert flow.state(post) == "approved"
    flow.clock.advance(seconds=590)
    flow.publish()
    assert flow.published(post) == 0 and attempts(flow, SHOWN[mode]) == 1
    flow.settle(5)  # a quarter more at most: the jitter of the pause
    sent_once(flow, post, mode)
    assert attempts(flow, SHOWN[mode]) == 2


def test_please_wait_rests_the_whole_account(flow: Flow) -> None:
    post = ready(flow, Mode.POST)
    flow.box.faults.add("please_wait", write="post")
    flow.publish()
    before = len(flow.box.journal.requests())
    flow.clock.advance(minutes=25)
    flow.publish()
    assert len(flow.box.journal.requests()) == before
    flow.settle(20)
    sent_once(flow, post, Mode.POST)


def test_feedback_required_freezes_and_is_not_retried(flow: Flow, mode: Mode) -> None:
    post = ready(flow, mode, per_author_per_day=9, expires=timedelta(days=30))
    flow.box.faults.add("feedback_required", write=SHOWN[mode])
    flow.publish()
    assert flow.state(post) == "failed" and flow.reason(post).startswith("blocked")
    later = flow.asking("ben")
    flow.run()
    flow.settle(20)
    assert flow.state(later) == "approved" and flow.writes(SHOWN[mode]) == []
    assert attempts(flow, SHOWN[mode]) == 1
    flow.clock.advance(days=2)
    flow.settle(2)
    assert flow.published(post) == 0, "never retried"
    assert flow.published(later) == 1


def test_a_blocked_action_tries_no_other_way(flow: Flow) -> None:
    post = ready(flow, Mode.DM, fallback=(Mode.POST,))
    flow.box.faults.add("feedback_required", write="dm_text")
    flow.publish()
    flow.settle(5)
    assert kinds(flow) == ["dm_upload"] and flow.state(post) == "failed"


@pytest.mark.parametrize("kind", ["challenge_required", "checkpoint", "masked_challenge"])
def test_a_challenge_stops_the_account_until_a_person_resumes(flow: Flow, kind: str) -> None:
    post = ready(flow, Mode.POST)
    session = (flow.box.directory / "session.json").read_bytes()
    logins = len(flow.box.journal.writes("login"))
    flow.box.faults.add(kind, write="post")
    flow.publish()
    assert flow.state(post) == "approved"
    before = len(flow.box.journal.requests())
    flow.settle(90)
    with pytest.raises(AuthError):
        flow.poll()
    assert len(flow.box.journal.requests()) == before, "a stopped account asked for something"
    assert (flow.box.directory / "session.json").read_bytes() == session
    flow.pacer.resume()
    flow.pause(on=False)
    flow.publish()
    sent_once(flow, post, Mode.POST)
    assert len(flow.box.journal.writes("login")) == logins


# --- what stays inconclusive -------------------------------------------------------------------

LISTINGS = {
    Mode.POST: "/api/v1/feed/user/*",
    Mode.STORY: "/api/v1/feed/user/*/story/",
    Mode.DM: "/api/v1/direct_v2/threads/*",
}


@contextmanager
def inconclusive(flow: Flow, mode: Mode, *, applied: bool) -> Iterator[Post]:
    """A write of unknown outcome that two spaced readings could not settle."""
    post = ready(flow, mode)
    flow.box.faults.add("drop", write=SHOWN[mode], after=applied)
    flow.publish()
    flow.box.faults.add("html", LISTINGS[mode], count=0)
    flow.settle(30)
    assert flow.state(post) == "unknown"
    (step,) = [s for s in flow.steps(post) if s.state == "unknown"]
    assert [reading["verdict"] for reading in step.readings] == ["unknown", "unknown"]
    flow.box.faults.clear()
    flow.settle(30)
    assert flow.state(post) == "unknown", "a person decides now"
    assert attempts(flow, SHOWN[mode]) == 1
    yield post


def test_a_person_saw_that_it_is_not_there(flow: Flow, mode: Mode) -> None:
    with inconclusive(flow, mode, applied=False) as post:
        flow.approve(post)
        flow.publish()
        sent_once(flow, post, mode)


def test_a_person_saw_it_on_the_network(flow: Flow, mode: Mode) -> None:
    with inconclusive(flow, mode, applied=True) as post:
        with flow.database.write() as session:
            outbox.confirm(session, flow.reply_id(post), "op", flow.clock())
        flow.publish()
        sent_once(flow, post, mode)


def test_a_person_gives_it_up(flow: Flow, mode: Mode) -> None:
    with inconclusive(flow, mode, applied=False) as post:
        with flow.database.write() as session:
            outbox.reject(session, flow.reply_id(post), "op", "", flow.clock())
        flow.settle(5)
        assert flow.published(post) == 0 and flow.state(post) == "rejected"


def test_a_person_confirms_the_text_that_opened_a_thread(flow: Flow) -> None:
    """Its answer, with the number of the thread, was lost: the photo finds the thread itself."""
    post = ready(flow, Mode.DM)
    flow.box.faults.add("drop", write="dm_text", after=True)
    flow.publish()
    flow.box.faults.add("html", "/api/v1/direct_v2/threads/*", count=0)
    flow.settle(10)
    assert flow.state(post) == "unknown"
    flow.box.faults.clear()
    with flow.database.write() as session:
        outbox.confirm(session, flow.reply_id(post), "op", flow.clock())
    flow.publish()
    sent_once(flow, post, Mode.DM)
    assert kinds(flow) == KINDS[Mode.DM]


def test_one_reading_that_failed_is_not_proof(flow: Flow) -> None:
    post = ready(flow, Mode.POST)
    flow.box.faults.add("drop", write="post")
    flow.publish()
    flow.box.faults.add("html", "/api/v1/feed/user/*", count=1)
    flow.settle(30)
    assert flow.state(post) == "unknown" and attempts(flow, "post") == 1


def test_what_never_arrives_is_left_to_a_person(flow: Flow) -> None:
    """Sent, proved absent, sent once more: after that somebody should look at it."""
    post = ready(flow, Mode.POST)
    flow.box.faults.add("drop", write="post", count=0)
    flow.publish()
    flow.settle(60)
    assert flow.state(post) == "unknown" and attempts(flow, "post") == 2


def test_a_story_for_the_same_person_is_not_taken_for_this_one(flow: Flow) -> None:
    """Stories are found by whom they mention; one that is another reply's proves nothing."""
    first = ready(flow, Mode.STORY, per_author_per_day=9, caption="for {author} {url}")
    flow.publish()
    for story in flow.box.world.stories[flow.box.account.pk]:
        story.caption = ""  # as Instagram often shows them
    second = flow.asking("ana")
    flow.poll()
    flow.render()
    flow.box.faults.add("drop", write="story")
    flow.publish()
    flow.settle(10)
    assert flow.published(first) == 1
    assert flow.state(second) == "unknown", "it was never published"


# --- a process that died -----------------------------------------------------------------------


@pytest.mark.parametrize("state", ["sending", "rendering"])
def test_a_restart_finds_what_was_in_the_air(flow: Flow, state: str) -> None:
    post = ready(flow, Mode.POST)
    with flow.database.write() as session:
        reply_id = flow.reply_id(post)
        now = flow.clock()
        if state == "sending":
            outbox.move(session, reply_id, S.APPROVED, S.SENDING, who="x", now=now, sending_at=now)
        else:
            session.get_one(Reply, reply_id).state = S.RENDERING
    flow.restart()
    flow.render()
    flow.publish()
    sent_once(flow, post, Mode.POST)


def test_a_storage_fault_after_the_answer_is_reconciled(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is on the network and its receipt could not be stored: not sent again."""
    post = ready(flow, Mode.POST)
    finish = steps.finish
    calls = []

    def full(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:  # the upload's was the first
            raise StorageError("database or disk is full")
        finish(*args)

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(steps, "finish", full)
        flow.publish()
    assert flow.published(post) == 1 and flow.state(post) == "sending"
    flow.settle(15)
    sent_once(flow, post, Mode.POST)
    assert attempts(flow, "post") == 1


# --- what a person may not do by mistake, and what is half out ---------------------------------


def test_what_is_still_looked_for_cannot_be_approved_again(flow: Flow) -> None:
    """The answer was lost and the readings are not over: approving must not send it twice."""
    post = ready(flow, Mode.POST)
    flow.box.faults.add("drop", write="post", after=True)
    flow.publish()
    assert flow.state(post) == "unknown"
    with pytest.raises(UsageError, match="still being looked for"):
        flow.approve(post)
    flow.settle(5)
    sent_once(flow, post, Mode.POST)


def test_a_refusal_of_what_is_sent_again_is_no_proof(flow: Flow) -> None:
    """ "Already used" is just what a write says that had been applied: no other way starts."""
    post = ready(flow, Mode.POST, fallback=(Mode.STORY,))
    flow.box.faults.add("drop", write="post")
    flow.publish()
    flow.box.faults.add("media_unavailable", write="post")
    flow.settle(30)
    assert flow.state(post) == "unknown"
    assert flow.published(post) == 0 and "story" not in kinds(flow)


def test_a_part_that_is_out_is_not_followed_by_another_way(flow: Flow) -> None:
    post = ready(flow, Mode.DM, fallback=(Mode.POST,))
    flow.box.faults.add("dm_refused", write="dm_photo")
    flow.publish()
    flow.settle(5)
    assert flow.state(post) == "failed"
    assert kinds(flow) == ["dm_upload", "dm_text"]


def test_a_dry_run_also_holds_what_is_half_out(flow: Flow) -> None:
    post = ready(flow, Mode.DM)
    flow.box.faults.add("drop", write="dm_photo")
    flow.publish()
    assert flow.state(post) == "unknown"
    flow.policy = replace(flow.policy, dry_run=True)
    flow.settle(30)
    assert flow.state(post) == "approved" and "dm_photo" not in kinds(flow)


def test_our_own_limit_is_no_send(flow: Flow) -> None:
    """Stopped before it left, twice: then one lost answer still leaves one more try."""
    post = ready(flow, Mode.POST)
    flow.box.faults.add("throttled", write="post", count=2, retry_after=1)
    flow.settle(10)
    flow.box.faults.add("drop", write="post")
    flow.settle(30)
    sent_once(flow, post, Mode.POST)
