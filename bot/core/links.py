"""Web addresses in a caption: what looks like a hashtag or a mention there is none."""

from __future__ import annotations

import re

# Possessive, so that a long caption cannot make it go back over the same text again and again.
_LINK = re.compile(r"(?:https?://|www\.)\S+|(?<![\w.-])[\w-]++\.[\w.-]++/\S*", re.IGNORECASE)


def without_links(caption: str) -> str:
    """The caption with a space in place of every address."""
    return _LINK.sub(" ", caption)
