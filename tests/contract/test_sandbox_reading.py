"""What the unmodified client reads from the loopback Instagram."""

from __future__ import annotations

import io

import pytest
import requests
from instagrapi import Client
from instagrapi import exceptions as ig
from PIL import Image

from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Details, Profile, Spot, Tag
from tests.waiting import PATIENCE


@pytest.fixture
def author(sandbox: Sandbox) -> str:
    return sandbox.world.add_user("ana", "Ana").username


def test_hashtag_pages_show_every_post_once_newest_first(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    made = [sandbox.world.add_post(author, f"number {n} #Sunset").pk for n in range(60)]
    sandbox.world.add_post(author, "#other")
    seen: list[int] = []
    cursor, sizes = None, []
    while True:
        medias, cursor = raw_client.hashtag_medias_v1_chunk("sunset", 27, "recent", cursor)
        seen += [int(media.pk) for media in medias]
        sizes.append(len(medias))
        if cursor is None:
            break
    assert seen == made[::-1]
    assert sizes == [27, 27, 6]


def test_new_posts_do_not_shift_the_next_page(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    made = [sandbox.world.add_post(author, "#sunset").pk for _ in range(40)]
    _, cursor = raw_client.hashtag_medias_v1_chunk("sunset", 27, "recent")
    for _ in range(5):
        sandbox.world.add_post(author, "#sunset")
    medias, _ = raw_client.hashtag_medias_v1_chunk("sunset", 27, "recent", cursor)
    assert [int(media.pk) for media in medias] == made[:13][::-1]


def test_top_is_by_likes(sandbox: Sandbox, raw_client: Client, author: str) -> None:
    made = [
        sandbox.world.add_post(author, "#sunset", details=Details(likes=likes))
        for likes in (5, 50, 20)
    ]
    medias, _ = raw_client.hashtag_medias_v1_chunk("sunset", 27, "top")
    assert [media.like_count for media in medias] == [50, 20, 5]
    assert int(medias[0].pk) == made[1].pk


def test_profile_pages_lead_with_the_pinned_post(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    made = [
        sandbox.world.add_post(author, str(n), details=Details(pinned=n == 0)) for n in range(30)
    ]
    info = raw_client.user_info_by_username_v1(author)
    assert info.media_count == 30
    seen, cursor = [], ""
    while True:
        medias, cursor = raw_client.user_medias_paginated_v1(info.pk, 12, end_cursor=cursor)
        seen += [int(media.pk) for media in medias]
        if not cursor:
            break
    assert seen == [made[0].pk, *(post.pk for post in made[:0:-1])]


def test_a_post_carries_what_its_author_gave_it(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    text = "صباح الخير 🌅 @imagebot #Sunset #夕焼け " + "x" * 9000
    friend = sandbox.world.add_user("ben")
    place = Spot(213385402, "London", 51.5141, -0.1094)
    tags = [Tag(friend.pk, 0.25, 0.75), Tag(sandbox.account.pk, 0.5, 0.125)]
    post = sandbox.world.add_post(author, text, tags=tags, details=Details(place=place, likes=7))
    sandbox.world.comment(post.pk, "ben", "nice")

    media = raw_client.media_info_v1(str(post.pk))
    assert media.caption_text == text
    assert (media.code, media.id) == (post.code, post.media_id)
    assert raw_client.media_pk_from_code(media.code) == str(post.pk)
    assert media.location is not None and media.location.name == "London"
    assert {(t.user.pk, t.x, t.y) for t in media.usertags} == {
        (friend.pk, 0.25, 0.75),
        (sandbox.account.pk, 0.5, 0.125),
    }
    assert (media.like_count, media.comment_count) == (7, 1)
    assert media.taken_at.timestamp() == int(post.at)
    assert [c.text for c in raw_client.media_comments(media.id)] == ["nice"]
    listed, _ = raw_client.hashtag_medias_v1_chunk("夕焼け", 27, "recent")
    assert [m.code for m in listed] == [post.code]


def test_album_and_reel(sandbox: Sandbox, raw_client: Client, author: str) -> None:
    pictures = [sandbox.gallery.pick(5, index) for index in range(4)]
    album = sandbox.world.add_post(author, kind="album", pictures=pictures)
    reel = sandbox.world.add_post(author, kind="reel")

    shown = raw_client.media_info_v1(str(album.pk))
    assert shown.media_type == 8
    urls = [str(resource.thumbnail_url) for resource in shown.resources]
    assert urls == [sandbox.net.image_url(picture) for picture in pictures]
    for url, picture in zip(urls, pictures, strict=True):
        with Image.open(io.BytesIO(requests.get(url, timeout=PATIENCE).content)) as image:
            assert image.size == (picture.width, picture.height)

    cover = raw_client.media_info_v1(str(reel.pk))
    assert (cover.media_type, cover.product_type) == (2, "clips")
    assert requests.get(str(cover.thumbnail_url), timeout=PATIENCE).content[:2] == b"\xff\xd8"


def test_where_the_bot_is_tagged_and_mentioned(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    tagged = sandbox.world.add_post(author, tags=[Tag(sandbox.account.pk, 0.1, 0.9)])
    named = sandbox.world.add_post(author, "hello @imagebot")
    sandbox.world.comment(tagged.pk, author, "@imagebot and here")

    medias, more = raw_client.usertag_medias_paginated_v1(sandbox.account.pk)
    assert [(m.code, more) for m in medias] == [(tagged.code, "")]
    assert [(t.user.username, t.x, t.y) for t in medias[0].usertags] == [("imagebot", 0.1, 0.9)]
    lines = raw_client.news_inbox_v1()["new_stories"]
    assert [(line["notif_name"], line["args"]["media"][0]["id"]) for line in lines] == [
        ("comment_mention", tagged.media_id),
        ("mention", named.media_id),
        ("usertag", tagged.media_id),
    ]


def test_private_deleted_edited_renamed(sandbox: Sandbox, raw_client: Client, author: str) -> None:
    hidden = sandbox.world.add_user("hidden", profile=Profile(is_private=True))
    secret = sandbox.world.add_post("hidden", "#sunset")
    post = sandbox.world.add_post(author, "#sunset")
    with pytest.raises(ig.PrivateAccount):
        raw_client.private_request(f"feed/user/{hidden.pk}/")
    with pytest.raises(ig.PrivateAccount):
        raw_client.media_info_v1(str(secret.pk))

    sandbox.world.edit(post.pk, "now #dawn")
    assert raw_client.hashtag_medias_v1_chunk("dawn", 27, "recent")[0][0].code == post.code
    assert post.code not in [
        m.code for m in raw_client.hashtag_medias_v1_chunk("sunset", 27, "recent")[0]
    ]
    sandbox.world.rename(author, "ana.new")
    assert raw_client.media_info_v1(str(post.pk)).user.username == "ana.new"
    with pytest.raises(ig.UserNotFound):
        raw_client.user_info_by_username_v1("ana")

    sandbox.world.delete(post.pk)
    with pytest.raises(ig.MediaNotFound):
        raw_client.media_info_v1(str(post.pk))
    assert raw_client.hashtag_medias_v1_chunk("dawn", 27, "recent") == ([], None)


def test_every_image_has_bytes_of_its_own_and_they_never_change(sandbox: Sandbox) -> None:
    first, second = (sandbox.gallery.pick(n * len(sandbox.gallery)) for n in (1, 2))
    assert first.key.split("/")[1] == second.key.split("/")[1]  # the same picture of the pool
    one, two = sandbox.gallery.read(first.key), sandbox.gallery.read(second.key)
    assert one != two
    assert one == sandbox.gallery.read(first.key)
    with Image.open(io.BytesIO(one)) as a, Image.open(io.BytesIO(two)) as b:
        assert a.tobytes() == b.tobytes()


def test_the_largest_candidate_is_the_original(
    sandbox: Sandbox, raw_client: Client, author: str
) -> None:
    post = sandbox.world.add_post(author)
    raw = raw_client.private_request(f"media/{post.pk}/info/")["items"][0]
    large, small = raw["image_versions2"]["candidates"]
    assert (large["width"], large["height"]) == (raw["original_width"], raw["original_height"])
    for shown in (large, small):
        body = requests.get(shown["url"], timeout=PATIENCE).content
        with Image.open(io.BytesIO(body)) as image:
            assert image.size == (shown["width"], shown["height"])
    assert small["width"] < large["width"]
    assert str(raw_client.media_info_v1(str(post.pk)).thumbnail_url) == large["url"]


def test_an_image_that_was_never_posted_is_not_there(sandbox: Sandbox) -> None:
    for path in ("/m/u/nothing.jpg", "/m/u/../ca.key", "/m/p/999/1_0.jpg", "/api/v1/qe/sync/"):
        url = f"http://{sandbox.media_host}{path}"
        assert requests.get(url, timeout=PATIENCE).status_code == 404
