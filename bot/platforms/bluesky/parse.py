"""Bluesky's answers as our own values. What is missing in one raises KeyError or TypeError."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.core.bots import says_bot
from bot.core.events import Author, Comment, Media, Post
from bot.platforms.bluesky.addressing import SPELLING, url_of
from bot.platforms.bluesky.session import NAME

_MEMBERS_ONLY = "!no-unauthenticated"  # a person's wish to be shown to nobody outside
_HIDDEN = frozenset({"!hide", "!takedown", "!suspend"})
_BOTS = frozenset({"bot", "automated", "automation", "nobot", "no-bots"})
_BETWEEN_US = ("blockedBy", "blocking", "blockingByList", "muted", "mutedByList")


def author_from(view: Mapping[str, Any]) -> Author:
    """A person. Private: they or we closed the door, or they are to be shown to members only."""
    handle = str(view["handle"]).lower()
    labels = _labels(view)
    bot = bool(labels & _BOTS) or says_bot(str(view.get("description") or ""))
    return Author(
        NAME,
        str(view["did"]),
        str(view["did"]) if handle == "handle.invalid" else handle,
        str(view.get("displayName") or ""),
        is_private=closed(view),
        is_bot=bot,
    )


def closed(view: Mapping[str, Any]) -> bool:
    """Whether this person's posts are not for us."""
    between = view.get("viewer") or {}
    return _MEMBERS_ONLY in _labels(view) or any(between.get(key) for key in _BETWEEN_US)


def unwelcome(view: Mapping[str, Any], avoid: Collection[str]) -> str:
    """Why a post is neither kept nor answered; "" when it may be."""
    if closed(view["author"]):
        return "its author is not for us"
    labels = _labels(view) | _labels(view["author"])
    bad = sorted(labels & (_HIDDEN | set(avoid)))
    return f"labelled {', '.join(bad)}" if bad else ""


def post_from(view: Mapping[str, Any], me: Author, *, pinned: bool = False) -> Post:
    record = view["record"]
    caption = str(record.get("text") or "")
    mentioned = SPELLING.mentions(caption)
    if mentions(record, me) and me.username not in mentioned:  # by a handle that we had before
        mentioned = (*mentioned, me.username)
    return Post(
        platform=NAME,
        post_id=str(view["uri"]),
        author=author_from(view["author"]),
        taken_at=_taken(view),
        url=url_of(str(view["uri"])),
        caption=caption,
        hashtags=hashtags_of(record),
        mentions=mentioned,
        media=tuple(media_of(record, str(view["author"]["did"]))),
        like_count=view.get("likeCount"),
        comment_count=view.get("replyCount"),
        pinned=pinned,
        raw={
            "cid": str(view["cid"]),
            "langs": list(record.get("langs") or ()),
            "labels": sorted(_labels(view)),
            "reply": bool(record.get("reply")),
        },
    )


def comment_from(view: Mapping[str, Any]) -> Comment:
    text = str(view["record"].get("text") or "")
    return Comment(str(view["uri"]), author_from(view["author"]), text, _taken(view))


def hashtags_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the text, of its facets, and those that a post has beside its text."""
    tags = [str(one["tag"]) for one in _features(record, "tag") if one.get("tag")]
    written = " ".join(f"#{tag}" for tag in (*tags, *(record.get("tags") or ())))
    text = str(record.get("text") or "")
    return tuple(dict.fromkeys((*SPELLING.hashtags(text), *SPELLING.hashtags(written))))


def mentions(record: Mapping[str, Any], me: Author) -> bool:
    """Whether a facet names us, by the DID, which stays."""
    return any(one.get("did") == me.user_id for one in _features(record, "mention"))


def answers(record: Mapping[str, Any], me: Author) -> bool:
    """Whether it is a reply to a post of ours."""
    parent = (record.get("reply") or {}).get("parent") or {}
    return str(parent.get("uri") or "").startswith(f"at://{me.user_id}/")


def media_of(record: Mapping[str, Any], did: str) -> Iterator[Media]:
    """Its images. The address names their author and their hash: any server may have them."""
    embed = record.get("embed") or {}
    embed = embed.get("media") or embed
    for index, one in enumerate(embed.get("images") or ()):
        shape = one.get("aspectRatio") or {}
        width, height = int(shape.get("width") or 0), int(shape.get("height") or 0)
        blob = one["image"]
        cid = blob["ref"]["$link"] if "ref" in blob else blob["cid"]  # the older form has no ref
        yield Media(index, f"bluesky:{did}/{cid}", width=width, height=height)


def labels_of_content(view: Mapping[str, Any]) -> frozenset[str]:
    """What a picture that is made of this post's must carry as well."""
    return frozenset({"porn", "sexual", "nudity", "graphic-media"}) & _labels(view)


def _labels(view: Mapping[str, Any]) -> frozenset[str]:
    """In force, whoever gave them, the author among them."""
    given = view.get("labels") or ()
    taken_back = {(one.get("src"), one["val"]) for one in given if one.get("neg")}
    return frozenset(
        str(one["val"]) for one in given if (one.get("src"), one["val"]) not in taken_back
    )


def _features(record: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for facet in record.get("facets") or ():
        for feature in facet.get("features") or ():
            if feature.get("$type") == f"app.bsky.richtext.facet#{kind}":
                yield feature


def _taken(view: Mapping[str, Any]) -> datetime:
    """As the network sorts them: when its author says, but not after the network saw it."""
    seen = _moment(str(view["indexedAt"]))
    try:
        return min(seen, _moment(str(view["record"]["createdAt"])))
    except (KeyError, ValueError):
        return seen


def _moment(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
