"""Hashtags and user names in a caption, in any script."""

from __future__ import annotations

import re
import unicodedata

# Possessive, so that a long caption cannot make it go back over the same text again and again.
_URL = re.compile(r"(?:https?://|www\.)\S+|(?<![\w.-])[\w-]++\.[\w.-]++/\S*", re.IGNORECASE)
_HASH = re.compile(r"[#＃]")
_NAME = re.compile(r"(?<![A-Za-z0-9_.@/])[@＠]([A-Za-z0-9_][A-Za-z0-9._]{0,29})(?![A-Za-z0-9_@])")
_JOINERS = "\u200c\u200d"  # Persian and Indic words are written with them


def hashtags(caption: str) -> tuple[str, ...]:
    """Hashtags in order of appearance, each once: lower case, NFC, without '#'.

    A tag is a run of letters, digits, underscores and combining marks of any script; an emoji ends
    it. '#' inside a word or a URL starts none, but '#one#two' are two, and so does one right after
    a word of a script that is written without spaces.
    """
    text = _URL.sub(" ", caption)
    found: dict[str, None] = {}
    end_of_last = -1
    for match in _HASH.finditer(text):
        start = match.start()
        if start > 0 and start != end_of_last and _bars_a_tag(text[start - 1]):
            continue
        end = _run(text, start + 1)
        if end > start + 1:
            found[normal_tag(text[start + 1 : end])] = None
            end_of_last = end
    return tuple(found)


def mentions(caption: str) -> tuple[str, ...]:
    """User names after '@', in order, each once: lower case. Addresses of e-mail are none."""
    text = _URL.sub(" ", caption)
    names = (match.group(1).rstrip(".").lower() for match in _NAME.finditer(text))
    return tuple(dict.fromkeys(names))


def normal_tag(tag: str) -> str:
    """The one spelling by which a hashtag is compared: NFC, lower case, without '#'."""
    lowered = unicodedata.normalize("NFC", tag.strip().lstrip("#＃")).lower()
    return unicodedata.normalize("NFC", lowered)


def _run(text: str, start: int) -> int:
    """Where the run of tag characters that begins at `start` ends."""
    end = start
    while end < len(text):
        joiner = text[end] in _JOINERS and end > start and _joins(text[end + 1 : end + 2])
        if not (_joins(text[end]) or joiner):
            break
        end += 1
    return end


def _bars_a_tag(char: str) -> bool:
    """Whether '#' after this character is part of a word, or of an entity such as &#39;."""
    return char in "&_" or unicodedata.category(char) in ("Lu", "Ll", "Lt", "Nd")


def _joins(char: str) -> bool:
    return bool(char) and (
        char.isalnum() or char == "_" or unicodedata.category(char) in ("Mn", "Mc")
    )
