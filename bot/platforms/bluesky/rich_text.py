"""What a text links to: facets, which name their place by bytes of UTF-8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.platforms.bluesky.addressing import MENTION

_LINK = re.compile(r"https?://[^\s<>\"]+")
_END = ".,;:!?'’”)]}"  # is rarely the end of an address
_TAG = re.compile(r"(?:(?<=\s)|^)[#＃](\w*[^\W\d_]\w*)")
_TYPE = "app.bsky.richtext.facet"


def facets(text: str, people: Mapping[str, str]) -> list[dict[str, Any]]:
    """Links, hashtags, and those of `people` (DIDs by handle) who are mentioned, in their order."""
    found = sorted(_found(text, people), key=lambda one: one[0])
    return [
        {
            "index": {"byteStart": _bytes(text, start), "byteEnd": _bytes(text, end)},
            "features": [feature],
        }
        for start, end, feature in found
    ]


def _found(text: str, people: Mapping[str, str]) -> Iterator[tuple[int, int, dict[str, str]]]:
    for match in _LINK.finditer(text):
        address = match[0].rstrip(_END)
        feature = {"$type": f"{_TYPE}#link", "uri": address}
        yield match.start(), match.start() + len(address), feature
    for match in _TAG.finditer(text):
        yield match.start(), match.end(), {"$type": f"{_TYPE}#tag", "tag": match[1]}
    for match in MENTION.finditer(text):
        if did := people.get(match[1].lower()):
            yield match.start(), match.end(), {"$type": f"{_TYPE}#mention", "did": did}


def _bytes(text: str, characters: int) -> int:
    return len(text[:characters].encode())
