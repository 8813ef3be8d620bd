"""Whom or what a person names who asks to be forgotten."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.core.errors import UsageError
from bot.platforms import registry

_ID = re.compile(r"([a-z]+):post:(\S{1,300})")
_UNDER = re.compile(r"([a-z]+)/(\S+)")


@dataclass(frozen=True, slots=True)
class PersonTarget:
    platform: str
    name: str  # user name, former name or user id


@dataclass(frozen=True, slots=True)
class PostTarget:
    platform: str
    post_id: str


def parse(text: str) -> PersonTarget | PostTarget:
    """A person as PLATFORM/USER; a post as its address, with or without its host, or as
    PLATFORM:post:ID.

    Raises UsageError.
    """
    text = text.strip()
    if (found := _addressed(text)) is not None:
        return found
    if id_ := _ID.fullmatch(text):
        return PostTarget(id_[1], _checked(id_[1], id_[2]))
    under = _UNDER.fullmatch(text)
    platform = registry.find(under[1]) if under else None
    if under and platform and (post_id := platform.spelling.post(under[2])) is not None:
        return PostTarget(under[1], post_id)
    if under and "/" not in under[2].removeprefix("@"):
        return PersonTarget(under[1], under[2].removeprefix("@"))
    example = registry.descriptors()[0]
    raise UsageError(
        f"name a person as PLATFORM/USER, for example {example.name}/somebody, and a post by its "
        f"address, as {example.spelling.example} or as {example.name}:post:ID"
    )


def _addressed(text: str) -> PostTarget | None:
    """A whole address: it says by itself which platform it is of."""
    for platform in registry.every() if "/" in text and ("." in text or ":" in text) else ():
        if (post_id := platform.spelling.post(text)) is not None:
            return PostTarget(platform.name, post_id)
    return None


def _checked(platform: str, written: str) -> str:
    found = registry.find(platform)
    try:
        return found.spelling.post_id(written) if found else written
    except ValueError as error:
        raise UsageError(str(error)) from None
