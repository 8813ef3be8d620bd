"""What the unmodified client publishes on the loopback Instagram, judged by its journal."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
import requests
from instagrapi import Client
from instagrapi import exceptions as ig
from instagrapi.types import StoryLink, StoryMention, UserShort, Usertag

from bot.platforms.sandbox.journal import Journal
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Content, Post, Profile
from tests.sandbox import close, new_client
from tests.waiting import PATIENCE


@pytest.fixture
def photo(sandbox: Sandbox, tmp_path: Path) -> Path:
    path = tmp_path / "reply.jpg"
    path.write_bytes(sandbox.gallery.read("p/4/reply"))
    return path


def test_photo_is_published_with_tags_and_fetched_back_equal(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path
) -> None:
    upload_id, width, height = raw_client.photo_rupload(photo)
    author = UserShort(pk=source.user_pk, username="ana")
    answer = raw_client.photo_configure(
        upload_id,
        width,
        height,
        f"for @ana {source.url}",
        [Usertag(user=author, x=0.5, y=0.25)],
        extra_data={"custom_accessibility_caption": "A cat, tinted"},
    )
    shown = raw_client.media_info_v1(answer["media"]["pk"])
    assert shown.caption_text == f"for @ana {source.url}"
    assert [(t.user.pk, t.x, t.y) for t in shown.usertags] == [(source.user_pk, 0.5, 0.25)]
    assert shown.accessibility_caption == "A cat, tinted"

    [upload] = sandbox.journal.writes("upload")
    fetched = requests.get(str(shown.thumbnail_url), timeout=PATIENCE).content
    assert hashlib.sha256(fetched).hexdigest() == upload["ids"]["sha256"]
    assert len(fetched) == upload["ids"]["bytes"]
    [post] = sandbox.journal.writes("post")
    assert (post["source"], post["target"], post["token"]) == (source.code, "ana", upload_id)
    own, _ = raw_client.user_medias_paginated_v1(raw_client.user_id, 12)
    assert [media.code for media in own] == [shown.code]


def test_an_upload_that_was_never_made_cannot_be_published(
    sandbox: Sandbox, raw_client: Client
) -> None:
    with pytest.raises(ig.UnknownError):
        raw_client.photo_configure("1234567890", 1080, 1080, "nothing")
    assert not sandbox.journal.writes("post")


def test_story_with_mention_and_link(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path
) -> None:
    upload_id, width, height = raw_client.photo_rupload(photo, for_story=True)
    author = UserShort(pk=source.user_pk, username="ana")
    mention = StoryMention(user=author, x=0.5, y=0.8, width=0.4, height=0.1)
    raw_client.photo_configure_to_story(
        upload_id, width, height, "", [mention], [], [StoryLink(webUri=source.url)]
    )
    [story] = raw_client.user_stories_v1(str(raw_client.user_id))
    assert [m.user.pk for m in story.mentions] == [source.user_pk]
    assert [str(link.webUri) for link in story.links] == [source.url]
    [written] = sandbox.journal.writes("story")
    assert (written["target"], written["source"]) == ("ana", source.code)

    assert raw_client.media_delete(story.id)
    assert raw_client.user_stories_v1(str(raw_client.user_id)) == []


def test_a_story_is_gone_after_a_day(tmp_path: Path, no_foreign_ca: None) -> None:
    later = 0.0
    with Sandbox(tmp_path, clock=lambda: time.time() + later) as box:
        client = new_client(box)
        client.login_legacy(box.username, box.password)
        story = box.world.add_story(box.username, box.gallery.pick(1))
        assert [s.pk for s in client.user_stories_v1(box.account.pk)] == [str(story.pk)]
        later = 24 * 3600 + 1
        assert client.user_stories_v1(box.account.pk) == []
        close(client)


def test_a_body_that_cannot_be_read_is_refused(
    sandbox: Sandbox, raw_client: Client, source: Post
) -> None:
    answer = requests.post(
        f"https://i.instagram.com/api/v1/media/{source.media_id}/comment/",
        data=b"signed_body=SIGNATURE.{broken",
        headers={"Authorization": raw_client.authorization},
        proxies={"https": sandbox.proxy_url},
        verify=sandbox.ca_file,
        timeout=PATIENCE,
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid request body")
    assert not source.comments


def test_comment_and_answer_to_it(sandbox: Sandbox, raw_client: Client, source: Post) -> None:
    first = raw_client.media_comment(source.media_id, "here it is 🎨")
    raw_client.media_comment(source.media_id, "and more", replied_to_comment_id=int(first.pk))
    shown = raw_client.media_comments(source.media_id)
    assert [(c.text, c.replied_to_comment_id) for c in shown] == [
        ("and more", first.pk),
        ("here it is 🎨", None),
    ]
    written = sandbox.journal.writes("comment")
    assert [w["source"] for w in written] == [source.code] * 2
    assert all(w["token"] for w in written)


def test_direct_text_then_photo(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path
) -> None:
    with pytest.raises(ig.DirectThreadNotFound):
        raw_client.direct_send_photo(photo, user_ids=[int(source.user_pk)])
    assert not sandbox.journal.writes("dm_upload")

    raw_client.direct_send(f"made for you: {source.url}", user_ids=[int(source.user_pk)])
    sent = raw_client.direct_send_photo(photo, user_ids=[int(source.user_pk)])
    [thread] = raw_client.direct_threads()
    assert [user.username for user in thread.users] == ["ana"]
    assert [m.item_type for m in thread.messages] == ["media", "link"]
    assert thread.messages[0].id == sent.id
    assert sandbox.journal.writes("dm_photo")[0]["source"] == source.code
    assert sandbox.journal.replies_by_source() == {source.code: 1}

    [upload] = sandbox.journal.writes("dm_upload")
    media = thread.messages[0].media
    assert media is not None
    fetched = requests.get(str(media.thumbnail_url), timeout=PATIENCE).content
    assert hashlib.sha256(fetched).hexdigest() == upload["ids"]["sha256"]
    assert sandbox.journal.requests("messenger_image")[0]["host"] == "rupload.facebook.com"


def test_a_photo_in_a_thread_refers_to_a_link_once(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path, tmp_path: Path
) -> None:
    """A second, other photo is no duplicate of the first; the same photo again is one."""
    other = tmp_path / "other.jpg"
    other.write_bytes(sandbox.gallery.read("p/5/other"))
    ana = [int(source.user_pk)]
    raw_client.direct_send(source.url, user_ids=ana)
    raw_client.direct_send_photo(photo, user_ids=ana)
    raw_client.direct_send_photo(other, user_ids=ana)
    assert sandbox.journal.replies_by_source() == {source.code: 1}
    assert len(sandbox.journal.replies_without_source()) == 1
    assert sandbox.journal.duplicate_replies() == 0

    raw_client.direct_send_photo(other, user_ids=ana)
    assert sandbox.journal.duplicate_replies() == 1
    raw_client.direct_send_photo(photo, user_ids=ana)
    assert sandbox.journal.replies_by_source() == {source.code: 2}
    assert sandbox.journal.duplicate_replies() == 2


def test_whoever_takes_no_messages_gets_none(sandbox: Sandbox, raw_client: Client) -> None:
    shy = sandbox.world.add_user("shy", profile=Profile(takes_dms=False))
    with pytest.raises(ig.DirectMessageRequestsDisabled):
        raw_client.direct_send("hello", user_ids=[int(shy.pk)])
    assert not sandbox.journal.writes("dm_text")


def test_a_message_from_a_stranger_waits_in_the_pending_inbox(
    sandbox: Sandbox, raw_client: Client
) -> None:
    ana = sandbox.world.add_user("ana")
    thread = sandbox.world.thread([ana.pk, sandbox.account.pk], create=True)
    assert thread is not None
    sandbox.world.say(thread, "ana", Content("text", "hi there"))
    assert raw_client.direct_threads() == []
    [waiting] = raw_client.direct_pending_inbox()
    assert waiting.messages[0].text == "hi there"
    raw_client.direct_answer(int(waiting.pk), "hello")
    [known] = raw_client.direct_threads()
    assert [m.text for m in raw_client.direct_messages(int(known.pk))] == ["hello", "hi there"]


def test_only_own_posts_can_be_deleted(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path
) -> None:
    with pytest.raises(ig.ClientForbiddenError):
        raw_client.media_delete(source.media_id)
    upload_id, width, height = raw_client.photo_rupload(photo)
    made = raw_client.photo_configure(upload_id, width, height, "mine")["media"]
    assert raw_client.media_delete(made["id"])
    with pytest.raises(ig.MediaNotFound):
        raw_client.media_info_v1(made["pk"])
    assert [w["ids"]["pk"] for w in sandbox.journal.writes("delete")] == [made["pk"]]


@pytest.mark.parametrize(("dedupe", "posts"), [(False, 2), (True, 1)])
def test_a_repeated_upload_id_is_a_second_post_unless_tokens_are_deduped(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path, dedupe: bool, posts: int
) -> None:
    sandbox.net.dedupe_tokens = dedupe
    upload_id, width, height = raw_client.photo_rupload(photo)
    made = [
        raw_client.photo_configure(upload_id, width, height, source.url)["media"]["pk"]
        for _ in range(2)
    ]
    assert len(set(made)) == posts
    assert sandbox.journal.replies_by_source() == {source.code: posts}
    assert sandbox.journal.duplicate_replies() == posts - 1


def test_the_journal_on_disk_says_the_same(
    sandbox: Sandbox, raw_client: Client, source: Post, photo: Path
) -> None:
    upload_id, width, height = raw_client.photo_rupload(photo)
    raw_client.photo_configure(upload_id, width, height, source.url)
    raw_client.media_comment(source.media_id, "done")
    assert sandbox.journal.path is not None
    read = Journal.read(sandbox.journal.path)
    assert read.writes() == sandbox.journal.writes()
    assert read.replies_by_source() == {source.code: 1}
    assert len(read.requests()) == len(sandbox.journal.requests())
