"""Whom or what a person means who asks to be forgotten."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.core.errors import UsageError

_LINK = re.compile(
    r"(?:https?://)?(?:www\.)?instagram\.com/(?:[\w.]+/)?(?:p|reel|tv)/([\w-]+)/?(?:[?#].*)?",
    re.ASCII,
)
_CODE = re.compile(r"([a-z]+)/(?:p|reel|tv)/([\w-]+)/?", re.ASCII)
_ID = re.compile(r"([a-z]+):post:([\w.-]+)")
_PERSON = re.compile(r"([a-z]+)/@?([^/\s]+)")
_NUMBER = re.compile(r"(\d{1,20})(?:_\d+)?", re.ASCII)
INSTAGRAM = "instagram"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LETTERS = 11  # of a shortcode; what follows in a private account's links is no part of the id


@dataclass(frozen=True, slots=True)
class PersonTarget:
    platform: str
    name: str  # user name, former name or user id


@dataclass(frozen=True, slots=True)
class PostTarget:
    platform: str
    post_id: str


def parse(text: str) -> PersonTarget | PostTarget:
    """A person as PLATFORM/USER; a post as its address, PLATFORM/p/SHORTCODE or PLATFORM:post:ID.

    Raises UsageError.
    """
    text = text.strip()
    if found := _LINK.fullmatch(text):
        return PostTarget(INSTAGRAM, post_id(found[1]))
    if found := _CODE.fullmatch(text):
        if found[1] != INSTAGRAM:
            raise UsageError(f"only instagram has shortcodes; name it as {found[1]}:post:ID")
        return PostTarget(found[1], post_id(found[2]))
    if found := _ID.fullmatch(text):
        return PostTarget(found[1], _checked(found[1], found[2]))
    if "://" not in text and (found := _PERSON.fullmatch(text)):
        return PersonTarget(found[1], found[2])
    raise UsageError(
        "name a person as PLATFORM/USER, for example instagram/somebody, "
        "and a post by its address, as instagram/p/SHORTCODE or as instagram:post:ID"
    )


def _checked(platform: str, remote_id: str) -> str:
    """Instagram's is a number; an app may show its author's behind it."""
    if platform != INSTAGRAM:
        return remote_id
    if not (found := _NUMBER.fullmatch(remote_id)):
        raise UsageError(f"{remote_id!r} is no id of a post: name its number, or its address")
    return found[1]


def post_id(shortcode: str) -> str:
    """The number that a shortcode of Instagram spells: nothing has to be asked, or stored."""
    number = 0
    for letter in shortcode[:_LETTERS]:
        number = number * 64 + _ALPHABET.index(letter)
    return str(number)
