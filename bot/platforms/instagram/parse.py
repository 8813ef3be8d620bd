"""Instagram's JSON → what travels through the service. Tolerant of what is missing or new.

A post needs pk, code, taken_at, a user and an image; everything else may be absent or null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.core.events import Author, Comment, Media, MediaKind, Place, Post, UserTag
from bot.platforms.instagram.addressing import SPELLING

NAME = "instagram"
_VIDEO = 2
_MOST = 2**63 - 1  # what a database counts to
_LONGEST_PK = 64

log = structlog.get_logger(__name__)


class Malformed(ValueError):
    """An answer that lacks what we cannot do without. The message says what."""


def posts_from(items: Iterable[Any]) -> tuple[Post, ...]:
    """Posts of a listing, each once, in its order.

    A single malformed item is skipped and logged. Raises Malformed when there are items and all of
    them are: that is a change of format, not "nothing new".
    """
    posts: dict[str, Post] = {}
    reasons = []
    for item in items:
        try:
            post = post_from(item)
        except Malformed as error:
            reasons.append(str(error))
            log.warning("post skipped", reason=str(error), post=_name(item))
        else:
            posts.setdefault(post.post_id, post)
    if reasons and not posts:
        raise Malformed(f"none of {len(reasons)} posts can be read: {reasons[0]}")
    return tuple(posts.values())


def post_from(item: Any) -> Post:
    """One post. `raw` is the item itself, fields we do not know included. Raises Malformed."""
    if not isinstance(item, Mapping):
        raise Malformed("a post is no object")
    author = author_from(item.get("user"))
    caption = caption_of(item)
    images = tuple(_media(item))
    if not images:
        raise Malformed("a post without an image")
    return Post(
        platform=NAME,
        post_id=pk_of(item),
        author=author,
        taken_at=moment(item.get("taken_at")),
        url=f"https://www.instagram.com/p/{_text(item, 'code')}/",
        caption=caption,
        hashtags=SPELLING.hashtags(caption),
        mentions=SPELLING.mentions(caption),
        usertags=tuple(_usertags(item)),
        place=_place(item.get("location")),
        media=images,
        like_count=_shown(item, "like_count", unless="like_and_view_counts_disabled"),
        comment_count=_shown(item, "comment_count", unless="comments_disabled"),
        pinned=bool(item.get("timeline_pinned_user_ids") or item.get("is_pinned")),
        raw=dict(item),
    )


def author_from(user: Any) -> Author:
    """A person. The API marks no bots, so `is_bot` stays False. Raises Malformed."""
    if not isinstance(user, Mapping):
        raise Malformed("no user")
    return Author(
        platform=NAME,
        user_id=pk_of(user),
        username=_text(user, "username"),
        full_name=str(user.get("full_name") or ""),
        is_private=bool(user.get("is_private")),
    )


def pk_of(item: Mapping[str, Any]) -> str:
    """The number of a thing, without the `_userid` that its `id` carries. Raises Malformed."""
    pk = str(item.get("pk") or item.get("id") or "").split("_")[0]
    if not pk.isdecimal() or len(pk) > _LONGEST_PK:
        raise Malformed("no pk")
    return pk


def caption_of(item: Mapping[str, Any]) -> str:
    caption = item.get("caption")
    text = caption.get("text") if isinstance(caption, Mapping) else caption
    return text if isinstance(text, str) else ""


def moment(seconds: Any) -> datetime:
    """Aware UTC time of UNIX seconds. Raises Malformed."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Malformed("no time") from None


def section_items(sections: Any) -> Iterator[Any]:
    """The posts in the grid of a hashtag. Raises Malformed for what is no grid."""
    if not isinstance(sections, list):
        raise Malformed("no sections")
    for section in sections:
        layout = _mapping(_mapping(section).get("layout_content"))
        clips = _mapping(_mapping(layout.get("one_by_two_item")).get("clips"))
        for cells in (clips.get("items"), layout.get("fill_items"), layout.get("medias")):
            for cell in cells or ():
                yield _mapping(cell).get("media")


def comments_from(items: Iterable[Any]) -> tuple[Comment, ...]:
    """Comments of a page; malformed ones are skipped and logged, a text that is missing is ''."""
    comments = []
    for item in items:
        try:
            fields = _mapping(item)
            made = moment(fields.get("created_at_utc") or fields.get("created_at"))
            text = str(fields.get("text") or "")
            author = author_from(fields.get("user"))
            comments.append(Comment(pk_of(fields), author, text, made))
        except Malformed as error:
            log.warning("comment skipped", reason=str(error), comment=_name(item))
    return tuple(comments)


def caption_mentions(inbox: Mapping[str, Any]) -> Iterator[str]:
    """Post ids out of the activity inbox: posts in whose caption we may be mentioned.

    Its items are undocumented. Any that speaks of a mention and names a post is taken; whether the
    caption really mentions us is for the reader of the post to see.
    """
    for key in ("priority_stories", "new_stories", "old_stories"):
        for story in inbox.get(key) or ():
            args = _mapping(_mapping(story).get("args"))
            words = (
                f"{_mapping(story).get('notif_name')} {args.get('text')} {args.get('rich_text')}"
            )
            if "mention" not in words.lower():
                continue
            for media in args.get("media") or ():
                pk = str(_mapping(media).get("id") or "").split("_")[0]
                if pk.isdecimal():
                    yield pk


def _media(item: Mapping[str, Any]) -> Iterator[Media]:
    for index, part in enumerate(_parts(item)):
        candidates = _mapping(part.get("image_versions2")).get("candidates")
        usable = [c for c in candidates or () if isinstance(c, Mapping) and c.get("url")]
        if not usable:
            continue
        best = max(usable, key=lambda c: _side(c, "width") * _side(c, "height"))
        yield Media(
            index=index,
            url=str(best["url"]),
            kind=MediaKind.COVER if part.get("media_type") == _VIDEO else MediaKind.PHOTO,
            width=_side(best, "width"),
            height=_side(best, "height"),
        )


def _usertags(item: Mapping[str, Any]) -> Iterator[UserTag]:
    seen = set()
    parts = list(enumerate(_parts(item)))
    for index, part in [(0, item), *parts]:
        for tag in _mapping(part.get("usertags")).get("in") or ():
            user = _mapping(_mapping(tag).get("user"))
            user_id = str(user.get("pk") or "")
            if not user_id or (user_id, index) in seen:
                continue
            seen.add((user_id, index))
            x, y = _position(tag)
            yield UserTag(user_id, str(user.get("username") or ""), x, y, index)


def _parts(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The images of an album; of anything else, the thing itself."""
    parts = item.get("carousel_media")
    return [_mapping(part) for part in parts] if isinstance(parts, list) and parts else [item]


def _position(tag: Mapping[str, Any]) -> tuple[float | None, float | None]:
    try:
        x, y = (float(number) for number in tag["position"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, None
    return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else (None, None)


def _place(location: Any) -> Place | None:
    spot = _mapping(location)
    if not spot.get("name"):
        return None
    place_id = str(spot.get("pk") or spot.get("facebook_places_id") or "")
    return Place(str(spot["name"]), place_id, _number(spot.get("lat")), _number(spot.get("lng")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(value: Any) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return None
    return min(value, _MOST)


def _shown(item: Mapping[str, Any], name: str, *, unless: str) -> int | None:
    """A count, unless its author hid it: the number that is sent then is not the right one."""
    return None if item.get(unless) else _count(item.get(name))


def _side(candidate: Mapping[str, Any], name: str) -> int:
    return _count(candidate.get(name)) or 0


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"no {key}")
    return value


def _name(item: Any) -> str:
    return str(_mapping(item).get("pk") or "?")
