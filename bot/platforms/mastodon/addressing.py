"""How Mastodon's people and posts are written.

Ids are a server's own, so ours begin with its address: `mastodon.social:113456`. They are digits
on Mastodon, letters and digits on other software.
"""

from __future__ import annotations

import re

from bot.core import hashtags as tags
from bot.core import normal_form as text
from bot.core.links import without_links
from bot.platforms.addressing import Spelling

_HOST = r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|\[[0-9a-f:]+\]|localhost)(?::\d{1,5})?"
_ID = re.compile(rf"({_HOST}):([A-Za-z0-9]{{1,64}})")
_NAME = r"@?[\w.-]+(?:@[\w.:-]+)?"
_ADDRESS = re.compile(
    rf"(?:https?://)?({_HOST})/(?:web/|deck/)?"
    rf"(?:@{_NAME}/(?:statuses/)?|users/{_NAME}/statuses/|notice/|statuses/)([A-Za-z0-9]{{1,64}})"
    r"/?(?:[?#].*)?",
)
# One letter at least; no emoji, and none inside a word
_HASHTAG = re.compile(r"(?<![\w/&])#(\w*[^\W\d_]\w*)")
_MENTION = re.compile(r"(?<![\w=/@])@([A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(@[\w.:-]*\w)?")


def qualified(server: str, local_id: object) -> str:
    return f"{server}:{local_id}"


def local_id(server: str, written: str) -> str | None:
    """The id as this server has it; None for one of another server."""
    found = _ID.fullmatch(written)
    return found[2] if found and found[1] == server else None


def post_of(address: str) -> str | None:
    """By the page of a post on its own server, or on the one that showed it."""
    found = _ADDRESS.fullmatch(address)
    return qualified(found[1], found[2]) if found else None


def post_id(written: str) -> str:
    if not _ID.fullmatch(written):
        raise ValueError(f"{written!r} is no id of a post: it is written SERVER:ID")
    return written


def is_user_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None


def hashtags(caption: str) -> tuple[str, ...]:
    found = _HASHTAG.findall(without_links(text.usual_width(caption)))
    return tuple(dict.fromkeys(map(text.hashtag, found)))


def hashtag(written: str) -> str:
    tag = tags.one_hashtag(written)
    if hashtags(f"#{tag}") != (tag,):
        raise ValueError("is no hashtag there: it needs a letter, and has letters and digits only")
    return tag


def mentions(caption: str) -> tuple[str, ...]:
    """People by the names that stand there: on our server, or with theirs."""
    found = _MENTION.findall(without_links(caption))
    return tuple(dict.fromkeys(text.username(name + server) for name, server in found))


SPELLING = Spelling(
    post_of,
    post_id,
    is_user_id,
    example="mastodon.example/@NAME/ID",
    hashtag=hashtag,
    hashtags=hashtags,
    mentions=mentions,
)
