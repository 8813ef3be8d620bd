"""Instagram's addresses: a shortcode spells the number of a post."""

from __future__ import annotations

import re

from bot.platforms.addressing import Spelling

_LINK = re.compile(
    r"(?:(?:https?://)?(?:www\.)?instagram\.com/(?:[\w.]+/)?)?(?:p|reel|tv)/([\w-]+)/?(?:[?#].*)?",
    re.ASCII,
)
_NUMBER = re.compile(r"(\d{1,20})(?:_\d+)?", re.ASCII)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LETTERS = 11  # of a shortcode; what follows in a private account's links is no part of the id


def post_of(address: str) -> str | None:
    """The number that a shortcode spells: nothing has to be asked, or stored."""
    found = _LINK.fullmatch(address)
    if found is None:
        return None
    number = 0
    for letter in found[1][:_LETTERS]:
        number = number * 64 + _ALPHABET.index(letter)
    return str(number)


def post_id(written: str) -> str:
    """A number; an app may show its author's behind it."""
    if not (found := _NUMBER.fullmatch(written)):
        raise ValueError(f"{written!r} is no id of a post: name its number, or its address")
    return found[1]


def url_of(code: str) -> str:
    """The address of a post; "" for what is no shortcode."""
    return f"https://www.instagram.com/p/{code}/" if re.fullmatch(r"[\w-]{1,60}", code) else ""


SPELLING = Spelling(post_of, post_id, str.isdigit, example="instagram/p/SHORTCODE")
