"""The dataset: posts once, as first seen; people by id; changes recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot.core.errors import UsageError
from bot.core.events import Author, Media, Place, Post, UserTag
from storage import dataset
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.tables import (
    AuthorName,
    AuthorRow,
    BlobRow,
    MediaRow,
    MediaState,
    PostHashtag,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
)
from tests.databases import NOW, make_post, rows, together

LATER = NOW + timedelta(hours=2)
SHA = "ab" * 32


def image(post: Post, sha256: str | None = SHA, index: int = 0) -> Fetched:
    state = MediaState.STORED if sha256 else MediaState.PENDING
    return Fetched(post.media[index], state, sha256, 100, "image/jpeg", 640, 480)


def add(database: Database, post: Post, *images: Fetched) -> int:
    with database.write() as session:
        return dataset.add(session, post, images, NOW)


def see(database: Database, row_id: int, post: Post) -> list[str]:
    with database.write() as session:
        return dataset.see(session, row_id, post, LATER)


def test_numbers_and_names_without_measure(database: Database) -> None:
    post = make_post(like_count=2**63 - 1, comment_count=2**31)
    post = replace(post, author=replace(post.author, username="x" * 9000))
    add(database, post)
    (row,), (author,) = rows(database, PostRow), rows(database, AuthorRow)
    assert (row.like_count, row.comment_count_latest) == (2**63 - 1, 2**31)
    assert author.username == "x" * dataset.MAX_NAME
    (name,) = rows(database, AuthorName)
    assert name.username == author.username


def revisions(database: Database) -> list[tuple[str, Any, Any]]:
    with database.read() as session:
        found = session.exec(select(PostRevision).order_by(col(PostRevision.id)))
        return [(row.field, row.old, row.new) for row in found]


def get(session: Session, row_id: int) -> PostRow:
    return session.get_one(PostRow, row_id)


def test_a_post_is_stored_with_everything_it_carries(database: Database) -> None:
    post = make_post(
        caption="Sunset #sunset @bob",
        hashtags=("sunset", "sky", "sunset"),
        mentions=("bob",),
        usertags=(
            UserTag("u3", "cy", 0.25, 0.75, 0),
            UserTag("u2", "bob", media_index=1),
            UserTag("u2", "bob", 0.5, 0.5, 0),
        ),
        place=Place("Beach", "42", 1.5, -2.25),
        media=(Media(0, "https://m/0"), Media(1, "https://m/1")),
        like_count=3,
        comment_count=0,
        pinned=True,
        raw={"pk": "p1", "nested": [1, {"a": None}]},
    )
    row_id = add(database, post, image(post), image(post, None, 1))
    with database.read() as session:
        row = get(session, row_id)
        assert (row.post_id, row.author_id, row.url) == ("p1", "u1", post.url)
        assert (row.caption, row.taken_at, row.first_seen) == (post.caption, post.taken_at, NOW)
        assert row.place == {"name": "Beach", "place_id": "42", "lat": 1.5, "lng": -2.25}
        assert (row.like_count, row.comment_count, row.pinned) == (3, 0, True)
        assert row.raw == {"pk": "p1", "nested": [1, {"a": None}]}
    assert sorted(row.hashtag for row in rows(database, PostHashtag)) == ["sky", "sunset"]
    mentions = rows(database, PostMention)
    assert sorted((m.media_index, m.username, m.user_id, m.x, m.y) for m in mentions) == [
        (-1, "bob", "", None, None),
        (0, "bob", "u2", 0.5, 0.5),
        (0, "cy", "u3", 0.25, 0.75),
        (1, "bob", "u2", None, None),
    ]
    media = sorted(rows(database, MediaRow), key=lambda row: row.index)
    assert [(row.state, row.sha256, row.width) for row in media] == [
        ("stored", SHA, 640),
        ("pending", None, 640),
    ]


def test_a_post_is_stored_once_per_platform_and_id(database: Database) -> None:
    first = add(database, make_post("p1"))
    other = add(database, make_post("p1", platform="elsewhere"))
    third = add(database, make_post("p2"))
    assert len({first, other, third}) == 3
    with database.read() as session:
        found = dataset.known(session, "instagram", ["p1", "p2", "p3"])
        assert found == {"p1": first, "p2": third}
        assert dataset.known(session, "instagram", []) == {}


def test_two_workers_that_find_a_post_at_once_store_it_once(
    database: Database, open_database: Callable[[], Database]
) -> None:
    posts = [make_post(f"p{i}") for i in range(20)]
    other = open_database()
    forward, backward = together(
        lambda: [add(database, post, image(post)) for post in posts],
        lambda: [add(other, post, image(post)) for post in reversed(posts)],
    )
    assert forward == backward[::-1]
    assert len(rows(database, PostRow)) == len(rows(database, MediaRow)) == 20
    assert [blob.refs for blob in rows(database, BlobRow)] == [20]
    assert len(rows(database, AuthorRow)) == 1


def test_a_renamed_author_stays_one_person(database: Database) -> None:
    add(database, make_post("p1"))
    renamed = Author("instagram", "u1", "ann.new", "Ann", is_private=True)
    add(database, make_post("p2", author=renamed))
    add(database, make_post("p3"))  # and back again
    [author] = rows(database, AuthorRow)
    assert (author.username, author.full_name, author.is_private) == ("ann", "Ann", False)
    assert sorted(row.username for row in rows(database, AuthorName)) == ["ann", "ann.new"]
    assert {row.author_id for row in rows(database, PostRow)} == {"u1"}


def test_an_author_is_found_by_any_name(database: Database) -> None:
    add(database, make_post("p1"))
    add(database, make_post("p2", author=Author("instagram", "u1", "ann.new")))
    with database.read() as session:
        for name in ("ann", "ann.new", "u1"):
            assert dataset.find_author(session, "instagram", name) == "u1"
        assert dataset.find_author(session, "instagram", "nobody") is None
        assert dataset.find_author(session, "elsewhere", "ann") is None


def test_a_name_that_changed_hands_means_its_present_bearer(database: Database) -> None:
    add(database, make_post("p1"))
    add(database, make_post("p2", author=Author("instagram", "u2", "ann")))
    see_author = Author("instagram", "u1", "ann.new")
    with database.write() as session:
        dataset.see_author(session, see_author, LATER)
    with database.read() as session:
        assert dataset.find_author(session, "instagram", "ann") == "u2"
        assert dataset.find_author(session, "instagram", "ann.new") == "u1"


def test_an_edit_is_recorded_and_nothing_is_overwritten(database: Database) -> None:
    post = make_post(
        caption="first", place=Place("Beach"), usertags=(UserTag("u2", "bob", 0.1, 0.2),)
    )
    row_id = add(database, post)
    moved = replace(post, caption="second", usertags=(UserTag("u2", "bob", 0.3, 0.2),))
    assert see(database, row_id, moved) == ["caption", "usertags"]
    assert see(database, row_id, replace(moved, caption="third")) == ["caption"]
    assert see(database, row_id, replace(post, place=None)) == ["caption", "place", "usertags"]
    beach = {"name": "Beach", "place_id": "", "lat": None, "lng": None}
    assert revisions(database) == [
        ("caption", "first", "second"),
        ("usertags", [[0, "bob", 0.1, 0.2]], [[0, "bob", 0.3, 0.2]]),
        ("caption", "second", "third"),
        ("caption", "third", "first"),
        ("place", beach, None),
        ("usertags", [[0, "bob", 0.3, 0.2]], [[0, "bob", 0.1, 0.2]]),
    ]
    with database.read() as session:
        row = get(session, row_id)
        assert (row.caption, row.place, row.first_seen) == ("first", beach, NOW)
        assert row.last_seen == LATER
        assert dataset.latest_content(session, row)["place"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"like_count": 99},
        {"raw": {"other": 1}},
        {"url": "https://elsewhere/"},
        {"hashtags": ("new",)},
        {"usertags": (UserTag("u2", "Ärmel"), UserTag("u3", "bob"), UserTag("u4", "Zoe"))},
        {"usertags": (*[UserTag("u4", "Zoe")] * 2, UserTag("u3", "bob"), UserTag("u2", "Ärmel"))},
    ],
)
def test_what_is_no_edit(database: Database, change: dict[str, Any]) -> None:
    """Counts and raw data come and go; the order in which tags are listed means nothing."""
    tags = (UserTag("u4", "Zoe", float("nan"), 0.5), UserTag("u3", "bob"), UserTag("u2", "Ärmel"))
    if "usertags" in change:
        tags = tuple(replace(tag, x=None, y=None) for tag in tags)
    post = make_post(caption="a\x00b\ud800", usertags=tags)
    row_id = add(database, post)
    assert see(database, row_id, replace(post, **change)) == []
    assert see(database, row_id, replace(post, caption="new", **change)) == ["caption"]


def test_counts_keep_the_first_and_the_latest_known(database: Database) -> None:
    post = make_post(like_count=3, comment_count=None)
    row_id = add(database, post)
    see(database, row_id, replace(post, like_count=7, comment_count=2))
    see(database, row_id, replace(post, like_count=5, comment_count=None))
    with database.read() as session:
        row = get(session, row_id)
        assert (row.like_count, row.like_count_latest) == (3, 5)
        assert (row.comment_count, row.comment_count_latest) == (None, 2)
    assert revisions(database) == []


def test_a_deletion_is_recorded_once_and_so_is_coming_back(database: Database) -> None:
    post = make_post()
    row_id = add(database, post)
    for moment in (NOW, LATER):
        with database.write() as session:
            dataset.mark_deleted(session, row_id, moment, "404")
    with database.read() as session:
        assert get(session, row_id).deleted_at == NOW
    assert see(database, row_id, post) == ["deleted"]
    assert see(database, row_id, post) == []
    with database.read() as session:
        assert get(session, row_id).deleted_at is None
    assert revisions(database) == [("deleted", None, "404"), ("deleted", NOW.isoformat(), None)]


def test_the_first_finding_by_a_track_stays(database: Database) -> None:
    row_id = add(database, make_post())
    for track, decision in (("a", "too old"), ("b", "mention"), ("a", "mention")):
        with database.write() as session:
            dataset.found_by(session, row_id, track, "sunsets", decision, NOW)
    found = {(row.track, row.dataset, row.decision) for row in rows(database, PostTrack)}
    assert found == {("a", "sunsets", "too old"), ("b", "sunsets", "mention")}


CAPTIONS = {
    "long": "x" * 10_000,
    "emoji": "🌅👩‍👩‍👧‍👦🏳️‍🌈" * 1000,
    "right to left": "مرحبا بالعالم \u202eשלום\u202c",
    "scripts": "日本語 हिन्दी ไทย ქართული ᚠᛇᚻ e\u0301 \U0001f9d1\u200d\U0001f680",
    "breaks": "a\r\nb\tc\u2028d\u0085e\x1b[31m\x7f",
    "quotes": """'"; DROP TABLE posts; -- {} %s $1 \\""",
}


@pytest.mark.parametrize("caption", CAPTIONS.values(), ids=CAPTIONS)
def test_captions_of_any_kind_come_back_as_they_were(database: Database, caption: str) -> None:
    post = make_post(caption=caption, raw={"caption": {"text": caption}})
    row_id = add(database, post)
    with database.read() as session:
        row = get(session, row_id)
        assert row.caption == caption
        assert row.raw == {"caption": {"text": caption}}
    assert see(database, row_id, post) == []


def test_what_no_database_can_hold_is_taken_out_everywhere(database: Database) -> None:
    bad = "a\x00b\ud83d"
    author = Author("instagram", "u1", bad, bad)
    tag = UserTag("u2", bad, float("inf"), 0.5)
    post = make_post(
        caption=bad,
        author=author,
        hashtags=(bad,),
        mentions=(bad,),
        usertags=(tag,),
        place=Place(bad, lat=float("nan")),
        raw={bad: [bad, float("nan"), 10**30, b"\xff"]},
    )
    failed = replace(image(post, None), reason=bad, media=Media(0, bad))
    row_id = add(database, post, failed)
    assert see(database, row_id, post) == []
    with database.read() as session:
        row = get(session, row_id)
        assert row.caption == "ab?"
        assert row.place is not None
        assert (row.place["name"], row.place["lat"]) == ("ab?", "nan")
        assert row.raw == {"ab?": ["ab?", "nan", 10**30, "b'\\xff'"]}
    assert [row.username for row in rows(database, AuthorRow)] == ["ab?"]
    assert [row.hashtag for row in rows(database, PostHashtag)] == ["ab?"]
    assert {(m.username, m.x) for m in rows(database, PostMention)} == {("ab?", None)}
    assert [(row.reason, row.url) for row in rows(database, MediaRow)] == [("ab?", "ab?")]


def test_a_hashtag_too_long_for_an_index_stays_in_the_caption_only(database: Database) -> None:
    monster = "".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(10_000))
    post = make_post(
        caption=f"#{monster} @{monster} #sky", hashtags=(monster, "sky"), mentions=(monster, "")
    )
    row_id = add(database, post)
    assert [row.hashtag for row in rows(database, PostHashtag)] == ["sky"]
    assert rows(database, PostMention) == []
    with database.read() as session:
        assert monster in get(session, row_id).caption


def test_one_image_in_two_posts_is_two_references(database: Database) -> None:
    for post in (make_post("p1"), make_post("p2")):
        add(database, post, image(post))
    [blob] = rows(database, BlobRow)
    assert (blob.sha256, blob.refs, blob.size, blob.mime) == (SHA, 2, 100, "image/jpeg")


def test_pending_images_are_tried_again_fewest_attempts_first(database: Database) -> None:
    posts = [make_post(f"p{i}") for i in range(4)]
    ids = [add(database, post, image(post, None)) for post in posts]
    elsewhere = make_post("x", platform="elsewhere")
    add(database, elsewhere, image(elsewhere, None))
    with database.write() as session:
        dataset.mark_deleted(session, ids[3], NOW, "404")
        for row in session.exec(select(MediaRow).where(MediaRow.post == ids[0])):
            row.attempts = 4
        for row in session.exec(select(MediaRow).where(MediaRow.post == ids[1])):
            row.attempts = 5
    with database.read() as session:
        found = dataset.pending_media(session, "instagram", 10, max_attempts=5)
        assert [(media.post, post.post_id) for media, post in found] == [
            (ids[2], "p2"),
            (ids[0], "p0"),
        ]
        assert len(dataset.pending_media(session, "instagram", 1, max_attempts=5)) == 1


def test_what_failed_once_is_found_however_many_wait_untried(database: Database) -> None:
    posts = [make_post(f"p{i}") for i in range(6)]
    ids = [add(database, post, image(post, None)) for post in posts]
    with database.write() as session:
        for row in session.exec(select(MediaRow)):
            row.attempts = int(row.post == ids[5])
    with database.read() as session:
        found = dataset.pending_media(session, "instagram", 3, max_attempts=5, tried=True)
    assert [post.post_id for _, post in found] == ["p5"]


def test_settling_a_pending_image(database: Database) -> None:
    post = make_post()
    add(database, post, image(post, None))
    [media] = rows(database, MediaRow)
    again = replace(image(post, None), reason="timeout", media=Media(0, "https://new"))
    for outcome in (again, image(post), image(post)):  # the third finds it settled already
        with database.write() as session:
            dataset.settle_media(session, media.id, outcome, LATER)
    [media] = rows(database, MediaRow)
    assert (media.state, media.sha256, media.attempts, media.reason) == ("stored", SHA, 3, "")
    assert [blob.refs for blob in rows(database, BlobRow)] == [1]


def test_an_image_whose_post_was_forgotten_meanwhile_is_let_go(database: Database) -> None:
    post = make_post()
    add(database, post, image(post, None))
    [media] = rows(database, MediaRow)
    with database.write() as session:
        forget(session, "instagram", "u1")
    with database.write() as session:
        dataset.settle_media(session, media.id, image(post), LATER)
    assert rows(database, BlobRow) == []


def test_counts(database: Database) -> None:
    with database.read() as session:
        assert dataset.counts(session) == {"posts": 0}
    first, second = make_post("p1"), make_post("p2")
    add(database, first, image(first))
    add(database, second, image(second, None))
    with database.read() as session:
        expected = {"posts": 2, "images_stored": 1, "images_pending": 1}
        assert dataset.counts(session) == expected


def test_a_name_of_two_people_is_refused_with_their_ids_and_dates(database: Database) -> None:
    day = timedelta(days=1)
    with database.write() as session:
        dataset.see_author(session, Author("instagram", "11", "ana"), NOW)
        dataset.see_author(session, Author("instagram", "11", "ana"), NOW + day)
        dataset.see_author(session, Author("instagram", "11", "ana.new"), NOW + 2 * day)
        assert dataset.one_author(session, "instagram", "ana") == "11", "a former name"
        dataset.see_author(session, Author("instagram", "22", "ana"), NOW + 3 * day)
    with database.read() as session:
        with pytest.raises(UsageError) as told:
            dataset.one_author(session, "instagram", "ANA")
        assert "2 people: 22 (since 2026-03-04), 11 (since 2026-03-01 until 2026-03-02)" in str(
            told.value
        )
        for user_id in ("11", "22"):
            assert dataset.one_author(session, "instagram", user_id) == user_id
        assert dataset.one_author(session, "instagram", "ana.new") == "11"
        assert dataset.one_author(session, "instagram", "nobody") is None
        assert dataset.names_of(session, "instagram", "11") == {"ana", "ana.new"}
