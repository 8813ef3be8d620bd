"""What only Bluesky does: sessions, labels, blocks, thread gates, keys, limits, events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.errors import (
    AccountSuspended,
    AuthError,
    BadCredentials,
    LoginRequired,
    RateLimited,
    RecipientRefused,
    Refused,
    TargetGone,
    TargetPrivate,
    Unavailable,
)
from bot.core.events import Post, Presence, Topic, TrackKind
from bot.platforms.bluesky.adapter import BlueskyPlatform
from bot.platforms.memory.network import Fault
from tests.bluesky.kit import bluesky_at
from tests.bluesky.server import PROFILE, READING, Server
from tests.contract.subjects import NotedPacer, picture, written
from tests.waiting import eventually

MENTIONS = (Topic(TrackKind.MENTIONS, ""),)
DAWN = (Topic(TrackKind.HASHTAG, "dawn"),)


@pytest.fixture
def network() -> Iterator[Server]:
    with Server() as network:
        yield network


@pytest.fixture
def pacer() -> NotedPacer:
    return NotedPacer()


@pytest.fixture
def account(
    network: Server, pacer: NotedPacer, tmp_path: Path
) -> Iterator[Callable[..., BlueskyPlatform]]:
    """Our account, as a process has it that starts: not logged in, its session file as it is."""
    made: list[BlueskyPlatform] = []

    def start(**changes: object) -> BlueskyPlatform:
        made.append(bluesky_at(network, pacer, tmp_path / "sessions" / "main.json", **changes))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def platform(account: Callable[..., BlueskyPlatform]) -> BlueskyPlatform:
    made = account()
    made.login()
    return made


def source(network: Server, platform: BlueskyPlatform, text: str = "look") -> Post:
    return platform.post(network.publish("ana", text, (picture("PNG"),)))


def sent(platform: BlueskyPlatform, post: Post, token: str = "t") -> str:
    """A reply, its image included; the id of its record."""
    upload, reply = platform.ways.modes[0].steps
    outputs = dict(platform.send(written(upload, post, "up", {})).outputs)
    return platform.send(written(reply, post, token, outputs)).remote_id


# --- sessions -------------------------------------------------------------------------------------


def test_a_session_is_kept_for_its_owner_only_and_used_again(
    network: Server, account: Callable[..., BlueskyPlatform], tmp_path: Path
) -> None:
    me = account().login()
    file = tmp_path / "sessions" / "main.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert account(password=None).login() == me
    assert network.requests.count("com.atproto.server.createSession") == 1


def test_a_session_that_runs_out_is_refreshed_and_the_new_one_kept(
    network: Server, account: Callable[..., BlueskyPlatform], tmp_path: Path
) -> None:
    network.token_seconds = 60  # the client refreshes a quarter of an hour before the end
    account().login()
    file = tmp_path / "sessions" / "main.json"
    old = file.read_text()
    account(password=None).login()
    assert "com.atproto.server.refreshSession" in network.requests
    assert file.read_text() != old
    assert "com.atproto.server.createSession" in network.requests


@pytest.mark.parametrize(("revoked", "said"), [(False, "expired"), (True, "revoked")])
def test_an_ended_session_is_told_from_a_revoked_one_and_worth_one_login(
    network: Server, platform: BlueskyPlatform, tmp_path: Path, revoked: bool, said: str
) -> None:
    uri = network.publish("ana", "look")
    platform.post(uri)
    if revoked:
        kept = json.loads((tmp_path / "sessions" / "main.json").read_text())["session"]
        network.revoked.update(kept.split(":::"))
    else:
        network.fail(READING, Fault.ENDED)
    with pytest.raises(LoginRequired, match=said):
        platform.post(uri)
    platform.login()
    assert platform.post(uri).caption == "look"


def test_a_revoked_app_password_needs_a_person(
    network: Server, account: Callable[..., BlueskyPlatform], pacer: NotedPacer
) -> None:
    network.password = "another"
    with pytest.raises(BadCredentials, match="app password"):
        account().login()
    assert isinstance(pacer.told[-1][1], BadCredentials)
    with pytest.raises(AuthError, match="no app password"):
        account(password=None).login()


def test_a_new_handle_of_ours_changes_nothing(
    network: Server, account: Callable[..., BlueskyPlatform]
) -> None:
    first = account().login()
    network.me.handle = "renamed.test"
    network.revoked.clear()
    again = account()
    me = again.login()
    assert (me.user_id, me.username) == (first.user_id, "renamed.test")
    asking = network.publish("ana", "hi @bot.test", (picture("PNG"),), mention=me.user_id)
    assert "renamed.test" in again.post(asking).mentions, "the facet has the DID"


# --- limits ---------------------------------------------------------------------------------------


def test_what_is_left_feeds_the_ledger(
    network: Server, platform: BlueskyPlatform, pacer: NotedPacer
) -> None:
    post = source(network, platform)
    network.headers = {
        "ratelimit-limit": "5000",
        "ratelimit-remaining": "2",  # less than the 3 points of a record
        "ratelimit-reset": str(int(time.time()) + 900),
        "ratelimit-policy": "5000;w=3600",
    }
    sent(platform, post)
    stopped = [error for action, error in pacer.told if action == "write" and error is not None]
    assert [type(error) for error in stopped] == [RateLimited]
    assert 890 < (stopped[0].retry_after or 0) <= 900  # type: ignore[union-attr]
    assert not [error for action, error in pacer.told if action == "upload" and error]


def test_a_limit_says_when_it_counts_anew(network: Server, platform: BlueskyPlatform) -> None:
    uri = network.publish("ana", "look")
    network.fail(READING, Fault.THROTTLED)
    with pytest.raises(RateLimited) as caught:
        platform.post(uri)
    assert 50 < (caught.value.retry_after or 0) <= 60


# --- who is left alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["porn", "!hide", "graphic-media"])
def test_labelled_posts_are_left_out(
    network: Server, platform: BlueskyPlatform, label: str
) -> None:
    uri = network.publish("ana", "#dawn", (picture("PNG"),))
    network.record(uri).labels = [label]
    assert not platform.hashtag("dawn").posts
    assert not platform.profile("ana.test").posts
    with pytest.raises(TargetPrivate, match=label):
        platform.post(uri)


@pytest.mark.parametrize("between", ["blockedBy", "blocking", "muted"])
def test_who_shut_the_door_is_neither_listed_nor_answered(
    network: Server, platform: BlueskyPlatform, between: str
) -> None:
    post = source(network, platform, "#dawn")
    network.join("ana").viewer = {between: "at://did:plc:x/app.bsky.graph.block/1"}
    assert not platform.hashtag("dawn").posts
    assert platform.author(post.author.user_id).is_private
    with pytest.raises(TargetPrivate):
        sent(platform, post)
    assert not network.replies()


def test_a_login_marks_the_account_as_a_bot(
    network: Server, pacer: NotedPacer, tmp_path: Path
) -> None:
    """The rest of the profile stays; what is marked is not written again."""
    put = "com.atproto.repo.putRecord"
    network.profile = {"$type": PROFILE, "displayName": "Echo", "description": "of Ana"}
    with closing(bluesky_at(network, pacer, tmp_path / "session.json")) as platform:
        platform.login()
        platform.login()
    assert network.requests.count(put) == 1
    labels = network.profile.pop("labels")
    assert [one["val"] for one in labels["values"]] == ["bot"]
    assert network.profile == {"$type": PROFILE, "displayName": "Echo", "description": "of Ana"}
    network.profile = None
    with closing(bluesky_at(network, pacer, tmp_path / "session.json")) as platform:
        network.fail(put, Fault.UNAVAILABLE)
        platform.login()
        assert network.profile is None, "the account works all the same"
        platform.login()
    assert network.profile and network.profile["labels"]["values"] == [{"val": "bot"}]


def test_an_operator_may_leave_the_profile_alone(
    network: Server, pacer: NotedPacer, tmp_path: Path
) -> None:
    network.profile = None
    session = tmp_path / "session.json"
    with closing(bluesky_at(network, pacer, session, mark_as_bot=False)) as platform:
        platform.login()
    assert network.profile is None


def test_a_thread_that_is_closed_gets_no_reply(network: Server, platform: BlueskyPlatform) -> None:
    post = source(network, platform)
    network.record(post.post_id).closed = True
    with pytest.raises(RecipientRefused):
        sent(platform, post)
    assert not network.replies()


@pytest.mark.parametrize("said", ["#nobot please", "an automated account"])
def test_who_wants_no_bots_or_is_one(network: Server, platform: BlueskyPlatform, said: str) -> None:
    ana = network.join("ana")
    assert not platform.author(ana.did).is_bot
    ana.description = said
    assert platform.author(ana.did).is_bot


# --- replies --------------------------------------------------------------------------------------


def test_what_a_reply_says_of_itself(network: Server, platform: BlueskyPlatform) -> None:
    root = network.publish("ben", "first")
    above = {"uri": root, "cid": network.record(root).cid}
    uri = network.publish(
        "ana", "second", (picture("PNG"),), reply={"root": above, "parent": above}
    )
    post = platform.post(uri)
    sent(platform, post)
    (made,) = network.replies()
    parent = {"uri": uri, "cid": network.record(uri).cid}
    assert made.value["reply"] == {"root": above, "parent": parent}
    assert made.value["langs"] == ["en"]
    assert made.value["labels"]["values"] == [{"val": "bot"}]
    (image,) = made.value["embed"]["images"]
    assert (image["alt"], image["aspectRatio"]) == (
        "a generated image",
        {"width": 320, "height": 320},
    )
    assert image["image"]["ref"]["$link"] in network.blobs
    (link,) = made.value["facets"]
    assert link["features"][0]["uri"] == post.url


def test_content_labels_of_the_source_go_on(
    network: Server, account: Callable[..., BlueskyPlatform]
) -> None:
    platform = account(avoid_labels=(), self_labels=("bot", "nudity"))
    platform.login()
    post = source(network, platform)
    network.record(post.post_id).labels = ["nudity", "graphic-media"]
    sent(platform, post)
    said = [one["val"] for one in network.replies()[0].value["labels"]["values"]]
    assert said == ["bot", "nudity", "graphic-media"]


def test_a_reply_to_what_is_gone_is_not_sent(network: Server, platform: BlueskyPlatform) -> None:
    post = source(network, platform)
    network.remove(post.post_id)
    with pytest.raises(TargetGone):
        sent(platform, post)
    assert not network.replies()


def test_a_source_that_cannot_be_looked_at_is_no_unknown_outcome(
    network: Server, platform: BlueskyPlatform
) -> None:
    post = source(network, platform)
    network.fail(READING, Fault.UNAVAILABLE)
    with pytest.raises(RateLimited, match="nothing was sent"):
        sent(platform, post)
    assert "com.atproto.repo.putRecord" not in network.requests


def test_a_record_of_another_under_our_key_is_never_written_over(
    network: Server, platform: BlueskyPlatform
) -> None:
    first = source(network, platform)
    uri = sent(platform, first)
    record = network.record(uri)
    record.value = record.value | {"text": "ours, edited", "reply": {"parent": {"uri": "at://x"}}}
    with pytest.raises(Refused, match="another record"):
        sent(platform, first)
    _upload, reply = platform.ways.modes[0].steps
    assert platform.find(written(reply, first, "t", {}), first.taken_at).verdict is Presence.UNKNOWN
    assert network.record(uri).value["text"] == "ours, edited"


# --- people and images ----------------------------------------------------------------------------


def test_a_profile_is_followed_when_its_handle_is_gone(
    network: Server, account: Callable[..., BlueskyPlatform]
) -> None:
    network.publish("ana", "one", (picture("PNG"),))
    first = account()
    first.login()
    owner = first.profile("ana.test").owner
    network.join("ana").handle = "other.test"
    again = account()
    again.login()
    page = again.profile("ana.test")
    assert page.owner == owner
    assert [post.author.username for post in page.posts] == ["other.test"]


def test_an_image_must_be_what_its_hash_says(network: Server, platform: BlueskyPlatform) -> None:
    post = source(network, platform)
    (cid,) = network.blobs
    network.blobs[cid] = picture("JPEG")
    with pytest.raises(Unavailable, match="not the image"):
        platform.download(post.media[0], 10_000_000)


# --- events ---------------------------------------------------------------------------------------


def test_a_post_that_is_not_to_be_seen_yet_holds_the_cursor_back(
    network: Server, platform: BlueskyPlatform
) -> None:
    begin = platform.stream(None, DAWN)
    hidden = network.publish("ana", "#dawn 1")
    network.record(hidden).hidden = True
    shown = network.publish("ben", "#dawn 2")
    cursor = begin.cursor
    found: list[str] = []

    def more(wanted: int) -> bool:
        nonlocal cursor
        page = platform.stream(cursor, DAWN)
        cursor = page.cursor
        found.extend(post.post_id for post in page.posts)
        return len(found) >= wanted

    eventually("the second post", lambda: more(1))
    assert (found, cursor) == ([shown], begin.cursor)
    network.record(hidden).hidden = False
    eventually("the first post", lambda: more(2))
    assert found == [shown, hidden]
    assert cursor != begin.cursor


def test_a_stream_that_breaks_off_goes_on_where_it_was(
    network: Server, account: Callable[..., BlueskyPlatform]
) -> None:
    first = account()
    me = first.login()
    cursor = first.stream(None, MENTIONS).cursor
    first.close()
    asking = network.publish("ana", "hi @bot.test", mention=me.user_id)
    network.publish("ana", "hi @other.test")
    again = account()
    again.login()
    found = eventually("the mention", lambda: again.stream(cursor, MENTIONS).posts)
    assert [post.post_id for post in found] == [asking]


def test_events_may_be_off_or_elsewhere(
    network: Server, account: Callable[..., BlueskyPlatform]
) -> None:
    off = account(events="off")
    off.login()
    with pytest.raises(Unavailable, match="switched off"):
        off.stream(None, DAWN)
    nobody = account(events="ws://127.0.0.1:9/subscribe")
    nobody.login()
    with pytest.raises(Unavailable):
        nobody.stream(None, DAWN)


def test_a_suspended_account_says_so(network: Server, platform: BlueskyPlatform) -> None:
    network.suspended = True
    with pytest.raises(AccountSuspended):
        platform.mentions()
