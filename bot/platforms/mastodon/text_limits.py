"""How long Mastodon's texts may be: an address counts 23, a mention without its server."""

from __future__ import annotations

import re

from bot.platforms.text_limit import TextLimit

USUAL = 500  # where a server does not say
_ADDRESS = re.compile(r"https?://\S+")
_SERVER = re.compile(r"(@[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)@[\w.:-]*\w")
_COUNTED = "x" * 23
_MENTION = 40  # room for the author's name, without which they get no notification


def length(text: str) -> int:
    """As a server counts, or a little more: it counts graphemes."""
    return len(_SERVER.sub(r"\1", _ADDRESS.sub(_COUNTED, text)))


def limit(most: int) -> TextLimit:
    return TextLimit(most, length)


TEXT = limit(USUAL - _MENTION)
