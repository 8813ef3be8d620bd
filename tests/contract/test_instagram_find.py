"""Reconciling: a write is looked for, and absence is said only when it is sure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.errors import OutcomeUnknown, RateLimited, TargetGone, Unavailable
from bot.core.events import Post, Presence
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.instagram.kinds import Mode, StepKind
from bot.platforms.sandbox import reading, shapes
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Content, Details
from tests.contract.instagram_kit import (
    account,
    applied,
    ready,
    receipt_id,
    sent,
    step,
)
from tests.sandbox import no_foreign_ca, sandbox, sign_in

__all__ = ["no_foreign_ca", "sandbox"]

SHOWN = [StepKind.POST, StepKind.STORY, StepKind.DM_TEXT, StepKind.DM_PHOTO, StepKind.COMMENT]
READS = {
    StepKind.POST: "*/feed/user/*",
    StepKind.STORY: "*/story/",
    StepKind.DM_TEXT: "*/direct_v2/threads/*",
    StepKind.DM_PHOTO: "*/direct_v2/threads/*",
    StepKind.COMMENT: "*/comments/",
}


@pytest.fixture
def platform(sandbox: Sandbox) -> Iterator[InstagramPlatform]:
    sandbox.world.add_user("ana")
    with account(sandbox) as made:
        sign_in(sandbox)
        made.login()
        yield made


@pytest.fixture
def source(sandbox: Sandbox, platform: InstagramPlatform) -> Post:
    return platform.post(str(sandbox.world.add_post("ana", "look").pk))


@pytest.mark.parametrize("kind", SHOWN)
def test_found_when_it_was_applied_and_not_before(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind
) -> None:
    planned, since = ready(platform, kind, source), datetime.now(UTC)
    assert platform.find(planned, since).verdict is Presence.ABSENT
    sandbox.faults.add("drop", write=kind.value, after=True)
    with pytest.raises(OutcomeUnknown):
        platform.send(planned)
    found = platform.find(planned, since)
    assert found.verdict is Presence.APPLIED
    write = sandbox.journal.writes(kind.value)[-1]
    assert receipt_id(found.receipt) in (write["ids"].get("pk"), write["ids"].get("item_id"))
    assert applied(sandbox, kind) == 1


@pytest.mark.parametrize("kind", SHOWN)
def test_a_found_receipt_is_the_one_a_send_would_have_given(
    platform: InstagramPlatform, source: Post, kind: StepKind
) -> None:
    planned, since = ready(platform, kind, source), datetime.now(UTC)
    receipt = platform.send(planned)
    assert platform.find(planned, since).receipt == receipt


@pytest.mark.parametrize("kind", SHOWN)
def test_a_write_dropped_before_it_was_applied_is_absent(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind
) -> None:
    planned, since = ready(platform, kind, source), datetime.now(UTC)
    sandbox.faults.add("drop", write=kind.value)
    with pytest.raises(OutcomeUnknown):
        platform.send(planned)
    assert platform.find(planned, since).verdict is Presence.ABSENT
    assert applied(sandbox, kind) == 0


@pytest.mark.parametrize("fault", ["throttled", "server_error", "html", "cut_json", "drop"])
@pytest.mark.parametrize("kind", SHOWN)
def test_a_failed_reading_says_nothing(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post, kind: StepKind, fault: str
) -> None:
    planned, since = ready(platform, kind, source), datetime.now(UTC)
    sandbox.faults.add(fault, READS[kind])
    with pytest.raises(RateLimited if fault == "throttled" else Unavailable):
        platform.find(planned, since)


def test_uploads_may_always_be_repeated(platform: InstagramPlatform, source: Post) -> None:
    for kind in (StepKind.UPLOAD, StepKind.DM_UPLOAD):
        assert platform.find(step(kind, source), datetime.now(UTC)).verdict is Presence.ABSENT


def test_an_earlier_reply_is_not_taken_for_this_one(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    """What was made for another post is another reply."""
    other = platform.post(str(sandbox.world.add_post("ana", "another").pk))
    for kind in (StepKind.POST, StepKind.STORY, StepKind.DM_TEXT):
        platform.send(ready(platform, kind, other, f"other-{kind}"))
    later = datetime.now(UTC)
    for kind in (StepKind.POST, StepKind.STORY, StepKind.DM_TEXT, StepKind.DM_PHOTO):
        wanted = step(kind, source, "mine", inputs={"upload_id": "1"})
        assert platform.find(wanted, later).verdict is Presence.ABSENT, kind
    sandbox.world.comment(source.post_id, "ana", step(StepKind.COMMENT, source).text)
    assert platform.find(step(StepKind.COMMENT, source), later).verdict is Presence.ABSENT


def test_clocks_that_differ_hide_no_reply(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    """Our clock is hours ahead: what was written "later" than it was made is found all the same."""
    for kind in (StepKind.POST, StepKind.COMMENT, StepKind.DM_TEXT):
        planned = ready(platform, kind, source, f"skew-{kind}")
        platform.send(planned)
        ahead = datetime.now(UTC) + timedelta(hours=3)
        assert platform.find(planned, ahead).verdict is Presence.APPLIED, kind


def test_pages_are_read_back_to_the_write(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    since = datetime.now(UTC)
    posted = platform.send(ready(platform, StepKind.POST, source))
    commented = platform.send(step(StepKind.COMMENT, source))
    texted = platform.send(step(StepKind.DM_TEXT, source))
    thread = sandbox.world.thread_by_id(texted.outputs["thread_id"])
    for number in range(50):
        sandbox.world.add_post(
            sandbox.username, f"later {number}", details=Details(pinned=number == 0)
        )
        sandbox.world.comment(source.post_id, "ana", f"later {number}")
        sandbox.world.say(thread, source.author.user_id, Content("text", f"later {number}"))
    for kind, receipt in (
        (StepKind.POST, posted),
        (StepKind.COMMENT, commented),
        (StepKind.DM_TEXT, texted),
    ):
        assert platform.find(step(kind, source), since).receipt == receipt
        missing = replace(step(kind, source, "t2"), text="absent", source_url="https://no.where/")
        assert platform.find(missing, since).verdict is Presence.ABSENT


def test_an_end_that_is_not_stated_is_no_end(
    sandbox: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Listings that leave out what says whether they are complete prove nothing."""
    since, ok = datetime.now(UTC), reading.ok
    hidden = ("more_available", "reel")
    monkeypatch.setattr(
        reading, "ok", lambda **f: ok(**{k: v for k, v in f.items() if k not in hidden})
    )
    for kind in (StepKind.POST, StepKind.STORY):
        with pytest.raises(Unavailable):
            platform.find(step(kind, source), since)
    monkeypatch.setattr(reading, "ok", lambda **f: ok(**(f | {"comment_count": 9})))
    read = platform.find(step(StepKind.COMMENT, source), since)
    assert read.verdict is Presence.UNKNOWN
    assert "of 9" in read.detail


def test_an_unreadable_item_in_the_window_is_no_absence(
    sandbox: Sandbox,
    platform: InstagramPlatform,
    source: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    since = datetime.now(UTC)
    sandbox.world.add_post(sandbox.username, "mine")
    media = shapes.media
    monkeypatch.setattr(shapes, "media", lambda *a: media(*a) | {"taken_at": None})
    planned = step(StepKind.POST, source, inputs={"upload_id": "1"})
    with pytest.raises(Unavailable):
        platform.find(planned, since)


def test_a_message_without_context_is_known_by_time_and_text(
    platform: InstagramPlatform, source: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = shapes.message
    monkeypatch.setattr(shapes, "message", lambda *a: message(*a) | {"client_context": None})
    since = datetime.now(UTC)
    text = step(StepKind.DM_TEXT, source)
    platform.send(text)
    assert platform.find(text, since).verdict is Presence.APPLIED
    assert platform.find(replace(text, text="else"), since).verdict is Presence.ABSENT
    photo = ready(platform, StepKind.DM_PHOTO, source)
    assert platform.find(photo, since).verdict is Presence.ABSENT
    platform.send(photo)
    assert platform.find(photo, since).verdict is Presence.APPLIED


def test_a_story_older_than_a_day_cannot_be_judged(
    platform: InstagramPlatform, source: Post
) -> None:
    planned = step(StepKind.STORY, source, inputs={"upload_id": "1"})
    since = datetime.now(UTC) - timedelta(hours=25)
    assert platform.find(planned, since).verdict is Presence.UNKNOWN


def test_a_source_that_is_gone_proves_nothing(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    sandbox.world.delete(source.post_id)
    planned = step(StepKind.COMMENT, source)
    with pytest.raises(TargetGone):
        platform.find(planned, datetime.now(UTC))


def test_plans(platform: InstagramPlatform) -> None:
    def planned(mode: Mode, *, comment: bool = False) -> list[str]:
        return [step.name for step in platform.ways.plan(mode, comment=comment)]

    k = StepKind
    assert planned(Mode.POST, comment=True) == [k.UPLOAD, k.POST, k.COMMENT]
    assert planned(Mode.STORY) == [k.UPLOAD, k.STORY]
    assert planned(Mode.DM) == [k.DM_UPLOAD, k.DM_TEXT, k.DM_PHOTO]


def test_what_was_published_is_what_was_meant(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    planned = ready(platform, StepKind.POST, source)
    receipt = platform.send(planned)
    made = sandbox.world.post(receipt.remote_id)
    assert made.caption == planned.text
    assert made.alt_text == planned.alt_text
    assert [tag.user_pk for tag in made.pictures[0].tags] == [source.author.user_id]
    assert sandbox.gallery.read(made.pictures[0].key) == step(StepKind.UPLOAD, source).image
    story = platform.send(ready(platform, StepKind.STORY, source, "s"))
    shown = sandbox.world.stories[sandbox.account.pk][0]
    assert str(shown.pk) == story.remote_id
    assert [tag.user_pk for tag in shown.mentions] == [source.author.user_id]
    assert sandbox.journal.duplicate_replies() == 1  # a post and a story to one source


def test_every_photo_has_its_text_in_one_thread(
    sandbox: Sandbox, platform: InstagramPlatform, source: Post
) -> None:
    first = platform.send(step(StepKind.DM_TEXT, source, "a"))
    again = platform.send(step(StepKind.DM_TEXT, source, "b"))
    assert again.outputs["thread_id"] == first.outputs["thread_id"]
    assert sent(sandbox, StepKind.DM_TEXT) == applied(sandbox, StepKind.DM_TEXT) == 2
