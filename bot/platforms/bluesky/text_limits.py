"""How long a post on Bluesky may be: 300 graphemes, and 3000 bytes of UTF-8."""

from __future__ import annotations

import unicodedata

from bot.platforms.text_limit import TextLimit

_MOST_BYTES_PER_GRAPHEME = 10  # 3000 bytes to 300 graphemes
_JOINERS = "\u200c\u200d"
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")


def most_graphemes(text: str) -> int:
    """No fewer graphemes than there are, and at least a tenth of the bytes.

    Characters that join what stands before them are not counted; all others are, also those of
    which two or more make one grapheme (flags, families, Hangul in parts). A text that is within
    the limit by this count is within it by the server's.
    """
    counted = sum(not _joins(char) for char in text)
    return max(counted, -(-len(text.encode()) // _MOST_BYTES_PER_GRAPHEME))


def _joins(char: str) -> bool:
    if char in _JOINERS or _SKIN_TONES[0] <= char <= _SKIN_TONES[1]:
        return True
    return unicodedata.category(char) in ("Mn", "Me")


TEXT = TextLimit(300, most_graphemes)
