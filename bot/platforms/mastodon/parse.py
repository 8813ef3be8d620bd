"""Mastodon's JSON, read into what the service knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from bot.core import normal_form as text
from bot.core.bots import says_bot
from bot.core.events import Author, Comment, Media, MediaKind, Post
from bot.platforms.mastodon.addressing import hashtags, qualified

NAME = "mastodon"
OPEN = ("public", "unlisted")  # visibilities that everybody sees
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Namespace:
    """The server that shows something: ids are its own, and names without a server are there."""

    server: str  # as the settings have it
    domain: str  # as names of its people have it: the two may differ

    def full(self, acct: object) -> str:
        name = text.username(str(acct))
        return name if "@" in name else f"{name}@{self.domain}"

    def author(self, account: Json) -> Author:
        """A person. Who they let see a post, each post says by itself: `is_private` is nobody."""
        said = [plain(str(account.get("note") or ""))]
        for one in account.get("fields") or ():
            said += [str(one.get("name") or ""), plain(str(one.get("value") or ""))]
        return Author(
            NAME,
            qualified(self.server, account["id"]),
            self.full(account["acct"]),
            str(account.get("display_name") or ""),
            is_bot=account.get("bot") is True or any(map(says_bot, said)),
        )

    def post(self, status: Json) -> Post:
        """Raises KeyError, TypeError or ValueError for what is no status."""
        caption = caption_of(status)
        return Post(
            platform=NAME,
            post_id=qualified(self.server, status["id"]),
            author=self.author(status["account"]),
            taken_at=moment(status["created_at"]),
            url=str(status.get("url") or status.get("uri") or ""),
            caption=caption,
            hashtags=_hashtags(caption, status),
            mentions=tuple(
                dict.fromkeys(self.full(one["acct"]) for one in status.get("mentions") or ())
            ),
            media=tuple(_media(status)),
            like_count=_count(status, "favourites_count"),
            comment_count=_count(status, "replies_count"),
            pinned=status.get("pinned") is True,
            raw=status,
        )

    def comment(self, status: Json) -> Comment:
        return Comment(
            qualified(self.server, status["id"]),
            self.author(status["account"]),
            caption_of(status),
            moment(status["created_at"]),
        )


def shown(status: object) -> bool:
    """Whether it is somebody's own post for everybody: no boost, and nothing between people."""
    return (
        isinstance(status, Mapping)
        and not status.get("reblog")
        and status.get("visibility", "public") in OPEN
    )


def caption_of(status: Json) -> str:
    """The content warning, if there is one, stands before the text."""
    parts = (str(status.get("spoiler_text") or ""), plain(str(status.get("content") or "")))
    return "\n\n".join(part for part in parts if part)


def moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.fromisoformat(str(value)).astimezone(UTC)


def newest_key(local: str) -> tuple[int, str]:
    """In which order ids were given: numbers by their size, others by their letters."""
    return len(local), local


def plain(html: str) -> str:
    """The text of a status: paragraphs, breaks, and of links what they show and hide."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "br":
            self.parts.append("\n")
        elif tag == "p" and self.parts:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _hashtags(caption: str, status: Json) -> tuple[str, ...]:
    """Those of the text, then those that only the server names, which it does without accents."""
    found = {_folded(tag): tag for tag in hashtags(caption)[::-1]}
    said = [text.hashtag(str(one["name"])) for one in status.get("tags") or ()]
    return (*hashtags(caption), *dict.fromkeys(tag for tag in said if _folded(tag) not in found))


def _folded(tag: str) -> str:
    letters = unicodedata.normalize("NFKD", tag)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _media(status: Json) -> Iterator[Media]:
    for index, one in enumerate(status.get("media_attachments") or ()):
        kind, url, preview = one.get("type"), one.get("url"), one.get("preview_url")
        if kind == "image" and (url or one.get("remote_url")):
            size = ((one.get("meta") or {}).get("original")) or {}
            width, height = int(size.get("width") or 0), int(size.get("height") or 0)
            yield Media(index, str(url or one["remote_url"]), width=width, height=height)
        elif kind in ("video", "gifv") and preview:
            yield Media(index, str(preview), MediaKind.COVER)


def _count(status: Json, key: str) -> int | None:
    value = status.get(key)
    return value if isinstance(value, int) else None
