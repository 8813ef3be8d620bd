"""Instagram's JSON → posts, whatever it lacks or adds."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import MediaKind, UserTag
from bot.platforms.instagram.parse import (
    Malformed,
    caption_mentions,
    post_from,
    posts_from,
    section_items,
)

IMAGE = {"candidates": [{"url": "https://x/s.jpg", "width": 10, "height": 10},
                        {"url": "https://x/l.jpg", "width": 100, "height": 80}]}  # fmt: skip
LEAST = {
    "pk": 3141592653589793238,
    "code": "Abc-_1",
    "taken_at": 1_700_000_000,
    "media_type": 1,
    "user": {"pk": 42, "username": "ana"},
    "image_versions2": IMAGE,
}


@pytest.mark.parametrize(
    ("flag", "likes", "comments"),
    [
        ("like_and_view_counts_disabled", None, 2),
        ("comments_disabled", 3, None),
        ("something_else", 3, 2),
    ],
)
def test_a_count_that_its_author_hid_is_unknown(
    flag: str, likes: int | None, comments: int | None
) -> None:
    counted = {**LEAST, "like_count": 3, "comment_count": 2}
    for value in (False, None):
        shown = post_from({**counted, flag: value})
        assert (shown.like_count, shown.comment_count) == (3, 2)
    hidden = post_from({**counted, flag: True})
    assert (hidden.like_count, hidden.comment_count) == (likes, comments)
    assert post_from({**counted, "like_count": -1, "comment_count": -1}).comment_count is None


def test_the_least() -> None:
    post = post_from(LEAST)
    assert post.post_id == "3141592653589793238"
    assert post.author.user_id == "42"
    assert post.taken_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (post.caption, post.hashtags, post.mentions, post.usertags) == ("", (), (), ())
    assert (post.like_count, post.comment_count, post.place, post.pinned) == (
        None,
        None,
        None,
        False,
    )
    assert [(m.url, m.width, m.height, m.kind) for m in post.media] == [
        ("https://x/l.jpg", 100, 80, MediaKind.PHOTO)
    ]


@pytest.mark.parametrize("key", ["code", "taken_at", "user", "image_versions2", "pk"])
@pytest.mark.parametrize("value", [None, "", {}, []])
def test_what_a_post_cannot_lack(key: str, value: object) -> None:
    with pytest.raises(Malformed):
        post_from({**LEAST, key: value})


@pytest.mark.parametrize("item", [None, "x", 7, [], {}])
def test_what_is_no_post(item: object) -> None:
    with pytest.raises(Malformed):
        post_from(item)


def test_nulls_are_no_trouble() -> None:
    nulls = dict.fromkeys(
        ("caption", "like_count", "comment_count", "usertags", "location", "carousel_media",
         "timeline_pinned_user_ids")
    )  # fmt: skip
    assert post_from({**LEAST, **nulls}).like_count is None


def test_numbers_beyond_all_measure() -> None:
    place = {"name": "here", "pk": 1, "lat": 10**400, "lng": 2}
    tagged = {"in": [{"user": {"pk": 5, "username": "u"}, "position": [10**400, 0.5]}]}
    post = post_from({**LEAST, "like_count": 2**63, "location": place, "usertags": tagged})
    assert post.like_count == 2**63 - 1
    assert post.place is not None and (post.place.lat, post.place.lng) == (None, 2.0)
    assert (post.usertags[0].x, post.usertags[0].y) == (None, None)
    with pytest.raises(Malformed):
        post_from({**LEAST, "pk": "9" * 65})
    assert post_from({**LEAST, "caption": {"text": None}}).caption == ""


def test_an_album_with_tags() -> None:
    tag = {"user": {"pk": "7", "username": "ben"}, "position": [0.25, 1]}
    odd = {"user": {"pk": "8", "username": "cy"}, "position": ["?", None]}
    parts = [
        {"media_type": 1, "image_versions2": IMAGE},
        {"media_type": 2, "image_versions2": IMAGE, "usertags": {"in": [tag, odd, tag, None]}},
        {"media_type": 1},
    ]
    post = post_from({**LEAST, "carousel_media": parts, "media_type": 8})
    assert [(m.index, m.kind) for m in post.media] == [(0, MediaKind.PHOTO), (1, MediaKind.COVER)]
    assert post.usertags == (
        UserTag("7", "ben", 0.25, 1.0, 1),
        UserTag("8", "cy", None, None, 1),
    )


def test_unknown_fields_stay_in_raw_and_raw_is_json() -> None:
    item = {**LEAST, "brand_new": {"deep": [1, None, "ñ"]}}
    raw = post_from(item).raw
    assert json.loads(json.dumps(dict(raw))) == item


def test_one_bad_post_is_skipped_and_a_page_of_bad_ones_is_an_error() -> None:
    bad = {**LEAST, "taken_at": None}
    assert [p.post_id for p in posts_from([bad, LEAST, LEAST])] == [str(LEAST["pk"])]
    assert posts_from([]) == ()
    with pytest.raises(Malformed, match="2 posts"):
        posts_from([bad, None])


def test_sections() -> None:
    a, b, c = ({**LEAST, "pk": n} for n in (1, 2, 3))
    sections = [
        {"layout_content": {"medias": [{"media": a}]}},
        {"layout_content": {"one_by_two_item": {"clips": {"items": [{"media": b}]}},
                            "fill_items": [{"media": c}]}},
        {"layout_content": None},
        {},
    ]  # fmt: skip
    assert [item["pk"] for item in section_items(sections)] == [1, 2, 3]
    for odd in (None, {}, "x"):
        with pytest.raises(Malformed):
            list(section_items(odd))


def test_the_inbox_is_read_tolerantly() -> None:
    def story(text: str, **args: object) -> dict[str, object]:
        return {"args": {"text": text, **args}}

    inbox = {
        "new_stories": [
            story("ana mentioned you in a post", media=[{"id": "11_42", "image": "x"}]),
            story("ana liked your photo", media=[{"id": "12_42"}]),
            story("ana mentioned you in a comment", media=None),
            {"notif_name": "caption_mention", "args": {"media": [{"id": "13_42"}, None, {}]}},
            {"args": None},
            None,
        ],
        "old_stories": [story("Ana MENTIONED you", media=[{"id": 14}, {"id": "x_y"}])],
        "priority_stories": None,
    }
    assert list(caption_mentions(inbox)) == ["11", "13", "14"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(LEAST)), JSON)
def test_whatever_a_field_becomes_it_is_a_post_or_malformed(key: str, value: Any) -> None:
    item = {**copy.deepcopy(LEAST), key: value}
    try:
        post = post_from(item)
    except Malformed:
        return
    assert post.post_id.isdecimal()
    assert post.taken_at.tzinfo is UTC
    assert post.media


@given(st.dictionaries(st.sampled_from(
    ["caption", "usertags", "location", "carousel_media", "like_count", "comment_count",
     "timeline_pinned_user_ids", "is_pinned"]), JSON))  # fmt: skip
def test_optional_fields_never_break_a_post(extra: dict[str, Any]) -> None:
    try:
        post = post_from({**LEAST, **extra})
    except Malformed:
        assert extra.get("carousel_media")  # an album without images
        return
    assert post.like_count is None or post.like_count >= 0
