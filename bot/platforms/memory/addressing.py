"""Ids in memory: `did:memory:NAME` for a person, `at://DID/post/KEY` for what they publish.

A number is no hashtag there: `#2026` stays text.
"""

from __future__ import annotations

import re

from bot.core import hashtags as tags
from bot.platforms.addressing import Spelling

_ENTRY = re.compile(r"at://did:memory:[^/\s]+/post/\w+")


def post_of(address: str) -> str | None:
    """A page's address names its author as they are called now, so only the id itself will do."""
    return address if _ENTRY.fullmatch(address) else None


def post_id(written: str) -> str:
    if not _ENTRY.fullmatch(written):
        raise ValueError(f"{written!r} is no id of an entry: it begins with at://did:memory:")
    return written


def _is_did(name: str) -> bool:
    return name.startswith("did:memory:")


def hashtags(caption: str) -> tuple[str, ...]:
    return tuple(tag for tag in tags.hashtags(caption) if not tag.isdecimal())


def hashtag(written: str) -> str:
    tag = tags.one_hashtag(written)
    if tag.isdecimal():
        raise ValueError("is a number, and no hashtag there")
    return tag


SPELLING = Spelling(
    post_of,
    post_id,
    _is_did,
    example="memory:post:at://did:memory:NAME/post/KEY",
    hashtag=hashtag,
    hashtags=hashtags,
)
