"""Ids on Bluesky: a DID for a person, which stays, and `at://DID/COLLECTION/KEY` for a record.

A handle is a domain name, and may change at any time: addresses are made with the DID.
"""

from __future__ import annotations

import re

from bot.core import hashtags as tags
from bot.core.links import without_links
from bot.platforms.addressing import Spelling

POSTS = "app.bsky.feed.post"
_DID = r"did:[a-z]+:[\w.:%-]+"
_KEY = r"[\w.~:-]{1,512}"
_POST = re.compile(rf"at://{_DID}/{re.escape(POSTS)}/{_KEY}", re.ASCII)
_PAGE = re.compile(rf"(?:(?:https?://)?bsky\.app/)?profile/({_DID})/post/({_KEY})/?", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HANDLE = rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?"
MENTION = re.compile(rf"(?<![A-Za-z0-9_.@/])[@＠]({HANDLE})(?![A-Za-z0-9_@-])")


_BY_HANDLE = re.compile(rf"(?:https?://)?bsky\.app/profile/({HANDLE})/post/{_KEY}/?", re.ASCII)


def uri_of(did: str, key: str) -> str:
    return f"at://{did}/{POSTS}/{key}"


def url_of(uri: str) -> str:
    """The page of a post, by its author's DID."""
    did, key = parts_of(uri)
    return f"https://bsky.app/profile/{did}/post/{key}"


def parts_of(uri: str) -> tuple[str, str]:
    """The DID and the key of a post."""
    did, _, rest = uri.removeprefix("at://").partition("/")
    return did, rest.rpartition("/")[2]


def post_of(address: str) -> str | None:
    """A page's address that names its author by a handle says not who it is."""
    if _POST.fullmatch(address):
        return address
    found = _PAGE.fullmatch(address.partition("?")[0])
    return uri_of(found[1], found[2]) if found else None


def author_in(address: str) -> str | None:
    """The handle in the address of a post as the app shows it."""
    found = _BY_HANDLE.fullmatch(address.partition("?")[0])
    return found[1].lower() if found else None


def post_id(written: str) -> str:
    if not _POST.fullmatch(written):
        raise ValueError(f"{written!r} is no id of a post: it looks like at://DID/{POSTS}/KEY")
    return written


def is_did(name: str) -> bool:
    return re.fullmatch(_DID, name, re.ASCII) is not None


def mentions(caption: str) -> tuple[str, ...]:
    """Handles after '@', in order, each once, lower case."""
    found = (match[1].lower() for match in MENTION.finditer(without_links(caption)))
    return tuple(dict.fromkeys(found))


def hashtags(caption: str) -> tuple[str, ...]:
    """Digits and underscores alone are none there."""
    return tuple(tag for tag in tags.hashtags(caption) if _says_something(tag))


def hashtag(written: str) -> str:
    tag = tags.one_hashtag(written)
    if not _says_something(tag):
        raise ValueError("is only digits, and no hashtag there")
    return tag


def _says_something(tag: str) -> bool:
    return any(not char.isdecimal() and char != "_" for char in tag)


SPELLING = Spelling(
    post_of,
    post_id,
    is_did,
    example="bluesky/profile/DID/post/KEY",
    hashtag=hashtag,
    hashtags=hashtags,
    mentions=mentions,
    author_in=author_in,
)
