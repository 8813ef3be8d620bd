"""Listings and single posts, read from the loopback network with the unmodified client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from bot.core.errors import TargetGone, TargetPrivate, Unavailable
from bot.core.events import MediaKind, Page, UserTag
from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.sandbox import shapes
from bot.platforms.sandbox.net import Network
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Details, Profile, Spot, Tag
from bot.platforms.sandbox.things import Post as WorldPost
from tests.contract.instagram_kit import account
from tests.sandbox import no_foreign_ca, sandbox, sign_in

__all__ = ["no_foreign_ca", "sandbox"]


@pytest.fixture
def platform(sandbox: Sandbox) -> Iterator[InstagramPlatform]:
    sandbox.world.add_user("ana", "Ana Lima")
    with account(sandbox) as made:
        sign_in(sandbox)
        made.login()
        yield made


def test_a_post_with_everything(sandbox: Sandbox, platform: InstagramPlatform) -> None:
    world = sandbox.world
    ben = world.add_user("ben")
    made = world.add_post(
        "ana",
        "@imagebot Вечер 🌅 #Закат #sunset2026\nby @ben.",
        tags=[Tag(ben.pk, 0.25, 0.75)],
        details=Details(place=Spot(7, "Lisboa", 38.7, -9.1), likes=12),
    )
    world.comment(made.pk, "ben", "nice")
    post = platform.post(str(made.pk))
    assert post.platform == "instagram"
    assert post.post_id == str(made.pk)
    assert post.url == f"https://www.instagram.com/p/{made.code}/"
    assert post.author.username == "ana"
    assert post.author.full_name == "Ana Lima"
    assert post.taken_at == datetime.fromtimestamp(int(made.at), UTC)
    assert post.hashtags == ("закат", "sunset2026")
    assert post.mentions == ("imagebot", "ben")
    assert post.usertags == (UserTag(ben.pk, "ben", 0.25, 0.75, 0),)
    assert post.place is not None
    assert (post.place.name, post.place.lat) == ("Lisboa", 38.7)
    assert (post.like_count, post.comment_count, post.pinned) == (12, 1, False)
    assert len(post.media) == 1
    assert json.loads(json.dumps(dict(post.raw)))["device_timestamp"]


def test_albums_give_all_images_and_reels_their_cover(
    sandbox: Sandbox, platform: InstagramPlatform
) -> None:
    album = sandbox.world.add_post("ana", "a", kind="album", count=4)
    reel = sandbox.world.add_post("ana", "", kind="reel")
    images = platform.post(str(album.pk)).media
    assert [image.index for image in images] == [0, 1, 2, 3]
    assert len({image.url for image in images}) == 4
    assert {image.kind for image in images} == {MediaKind.PHOTO}
    seen = platform.post(str(reel.pk))
    assert [image.kind for image in seen.media] == [MediaKind.COVER]
    assert seen.caption == ""
    assert seen.media[0].width == reel.pictures[0].width


def test_paging_shows_every_post_once(sandbox: Sandbox, platform: InstagramPlatform) -> None:
    world, now = sandbox.world, sandbox.world.clock()
    tag = Tag(sandbox.account.pk, 0.5, 0.5)
    made = [
        world.add_post(
            "ana", "#sunset", tags=[tag], details=Details(at=now - 1000 + n, pinned=n == 3)
        )
        for n in range(70)
    ]
    newest_first = [str(post.pk) for post in reversed(made)]
    listings: list[Callable[[str | None], Page]] = [
        lambda cursor: platform.hashtag("Sunset", cursor),
        lambda cursor: platform.profile("ana", cursor),
        platform.mentions,
    ]
    for number, listing in enumerate(listings):
        posts, pages = all_pages(listing)
        assert pages >= 3
        ids = [post for post in posts if post != str(made[3].pk)] if number == 1 else posts
        assert ids == [pk for pk in newest_first if number != 1 or pk != str(made[3].pk)]
    assert platform.profile("ana").posts[0].pinned


def all_pages(listing: Callable[[str | None], Page]) -> tuple[list[str], int]:
    ids, cursor, pages = [], None, 0
    while True:
        page = listing(cursor)
        ids += [post.post_id for post in page.posts]
        cursor, pages = page.cursor, pages + 1
        if cursor is None:
            return ids, pages


def test_mentions_in_captions(sandbox: Sandbox, platform: InstagramPlatform) -> None:
    world = sandbox.world
    wanted = world.add_post("ana", "hello @imagebot")
    other = world.add_post("ana", "no mention here")
    world.comment(other.pk, "ana", "@imagebot look")  # a mention, but not in the caption
    gone = world.add_post("ana", "@imagebot too late")
    world.delete(gone.pk)
    assert [post.post_id for post in platform.mentions().aside] == [str(wanted.pk)]
    fetched = len(sandbox.journal.requests("/info/"))
    assert [post.post_id for post in platform.mentions().aside] == [str(wanted.pk)]
    assert len(sandbox.journal.requests("/info/")) == fetched  # known posts are not fetched again


def test_many_new_mentions_are_fetched_over_several_polls(
    sandbox: Sandbox, platform: InstagramPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [sandbox.world.add_post("ana", f"@imagebot {n}") for n in range(20)]
    media = shapes.media

    def broken(net: Network, post: WorldPost) -> dict[str, object]:
        return media(net, post) | ({"code": None} if post.pk == made[-1].pk else {})

    monkeypatch.setattr(shapes, "media", broken)
    assert len(platform.mentions().aside) == 15  # the newest 16, one of which cannot be read
    assert len(sandbox.journal.requests("/info/")) == 16
    assert len(platform.mentions().aside) == 19
    assert len(sandbox.journal.requests("/info/")) == 20


def test_a_failing_part_of_mentions_fails_them_all(
    sandbox: Sandbox, platform: InstagramPlatform
) -> None:
    wanted = sandbox.world.add_post("ana", "hello @imagebot")
    for path in ("*/usertags/*", "*/news/inbox/", "*/info/"):
        sandbox.faults.add("server_error", path)
        with pytest.raises(Unavailable):
            platform.mentions()
    assert [post.post_id for post in platform.mentions().aside] == [str(wanted.pk)]


def test_nobody_there(sandbox: Sandbox, platform: InstagramPlatform) -> None:
    sandbox.world.add_user("hidden", profile=Profile(is_private=True))
    with pytest.raises(TargetGone):
        platform.profile("not.there")
    with pytest.raises(TargetPrivate):
        platform.profile("hidden")
    with pytest.raises(TargetGone):
        platform.post("12345")
    made = sandbox.world.add_post("ana", "x")
    sandbox.world.delete(made.pk)
    with pytest.raises(TargetGone):
        platform.post(str(made.pk))
    assert platform.hashtag("nothing").posts == ()
    assert platform.profile("ana").posts == ()


def test_a_private_profile_that_looks_empty(
    sandbox: Sandbox, platform: InstagramPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instagram may answer the feed of a private account with an empty list."""
    person = sandbox.world.add_user("hidden")
    sandbox.world.add_post("hidden", "x")
    full = shapes.user_full
    monkeypatch.setattr(shapes, "user_full", lambda *a: full(*a) | {"is_private": True})
    assert len(platform.profile("hidden").posts) == 1  # we follow them
    monkeypatch.setattr(sandbox.world, "of_user", lambda *_: ([], False))
    with pytest.raises(TargetPrivate):
        platform.profile("hidden")
    assert platform.author(person.pk).is_private


def test_odd_names_reach_the_network_whole(sandbox: Sandbox, platform: InstagramPlatform) -> None:
    made = sandbox.world.add_post("ana", "#日本語 #шедевр")
    for tag in ("日本語", "#Шедевр"):
        assert [post.post_id for post in platform.hashtag(tag).posts] == [str(made.pk)]
    with pytest.raises(TargetGone):
        platform.profile("../../feed")


def test_one_unreadable_post_is_skipped_and_a_page_of_them_is_an_error(
    sandbox: Sandbox, platform: InstagramPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sandbox.world.add_post("ana", "#sunset")
    bad = sandbox.world.add_post("ana", "#sunset")
    media = shapes.media

    def broken(net: object, post: object) -> dict[str, object]:
        shape = media(net, post)  # type: ignore[arg-type]
        if shape["pk"] == str(bad.pk):
            del shape["taken_at"]
        return shape | {"like_count": None, "brand_new": {"field": 1}}

    monkeypatch.setattr(shapes, "media", broken)
    page = platform.hashtag("sunset")
    assert [post.post_id for post in page.posts] == [str(good.pk)]
    assert page.posts[0].like_count is None
    assert page.posts[0].raw["brand_new"] == {"field": 1}
    sandbox.world.delete(good.pk)
    for read in (lambda: platform.hashtag("sunset"), lambda: platform.profile("ana")):
        with pytest.raises(Unavailable):
            read()


@pytest.mark.parametrize(
    ("biography", "is_bot"),
    [
        ("I am a bot", True),
        ("sky, sea. #nobot", True),
        ("🤖 Automated account", True),
        ("robotics and botany", False),
        ("", False),
    ],
)
def test_people(
    sandbox: Sandbox, platform: InstagramPlatform, biography: str, is_bot: bool
) -> None:
    made = sandbox.world.add_user("helper", profile=Profile(biography=biography))
    author = platform.author(made.pk)
    assert (author.username, author.is_bot, author.is_private) == ("helper", is_bot, False)
    sandbox.world.rename("helper", "renamed")
    assert platform.author(made.pk).username == "renamed"
    with pytest.raises(TargetGone):
        platform.author("1")


@pytest.mark.parametrize("said", [None, "absent"])
def test_who_is_not_said_to_be_public_counts_as_private(
    sandbox: Sandbox,
    platform: InstagramPlatform,
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
) -> None:
    person = sandbox.world.add_user("bea")
    full = shapes.user_full

    def silent(*arguments: object) -> dict[str, object]:
        shape = full(*arguments)  # type: ignore[arg-type]
        if said == "absent":
            del shape["is_private"]
            return shape
        return shape | {"is_private": None}

    monkeypatch.setattr(shapes, "user_full", silent)
    assert platform.author(person.pk).is_private
