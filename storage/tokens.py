"""Words of any script, the same for every database: what is indexed and what is asked.

Scripts without spaces are cut into overlapping pairs of characters (bigrams), the usual way to
search them without a dictionary: Manning, Raghavan, Schütze, Introduction to Information
Retrieval, 2.2.1. A pair is found as a phrase, so no word of the writer's is needed.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from bot.core.normal_form import words as folded

MAX_TEXT = 10_000  # characters of one field; captions end long before
MAX_TOKEN = 128  # characters; what is longer is cut, in the index and in the query alike

_UNSPACED = (  # scripts written without spaces between words
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3021-\u3029\u303b"  # Han's repetition mark, zero, numerals
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han
)
_FLAGS = "\U0001f1e6-\U0001f1ff"  # two of them are one flag
_PIECES = re.compile(f"[{_UNSPACED}]+|[{_FLAGS}]{{1,2}}|[^{_UNSPACED}{_FLAGS}]+")
_RUN = re.compile(f"[{_UNSPACED}]")
_HASHTAG = re.compile(r"#([^\s#]+)")
_ASCII_WORD = re.compile(r"[a-z0-9]+")

_DROPPED = {  # marks that change nothing of what a word is
    0x0307,  # left by the casefold of a dotted capital I
    0x0640,  # Arabic tatweel
    0x0670,  # Arabic superscript alef
    0x20E3,  # the frame of a keycap
    *range(0x064B, 0x0660),  # harakat
    *range(0x06D6, 0x06EE),  # Quranic marks
    *range(0xFE00, 0xFE10),  # variation selectors
    *range(0x1F3FB, 0x1F400),  # skin tones
    *range(0xE0000, 0xE0080),  # tags
}
_SAME = {  # letters that writers use for one another
    "\u0623": "\u0627",  # alef with hamza above, below, with madda, wasla: alef
    "\u0625": "\u0627",
    "\u0622": "\u0627",
    "\u0671": "\u0627",
    "ё": "е",
}


class _Classes(dict[int, str]):
    """For `str.translate`: what becomes of each character, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = found = self._of(code)
        return found

    @staticmethod
    def _of(code: int) -> str:
        character, kind = chr(code), unicodedata.category(chr(code))
        if code in _DROPPED or (kind == "Cf" and code != 0x00AD):
            return ""
        if 0x1F1E6 <= code <= 0x1F1FF:
            return character
        if kind[0] in "LNM":
            return _SAME.get(character, character)
        return f" {character} " if kind == "So" else " "  # emoji are words of their own


_CLASSES = _Classes()


def words(text: str) -> list[str]:
    """The words of a text in their order; `#` and punctuation are none.

    A run of characters of a script without spaces gives its pairs of neighbours; a single one gives
    itself.
    """
    text = text[:MAX_TEXT]
    if text.isascii():
        return [word[:MAX_TOKEN] for word in _ASCII_WORD.findall(text.lower())]
    found: list[str] = []
    for word in folded(text).translate(_CLASSES).split():
        if word.isascii():
            found.append(word[:MAX_TOKEN])
            continue
        for piece in _PIECES.findall(word):
            if _RUN.match(piece):
                found.extend(piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
            else:
                found.append(piece[:MAX_TOKEN])
    return found


def unspaced(token: str) -> bool:
    """Whether a token is of a script without spaces, where it may be a part of a word."""
    return _RUN.match(token) is not None


def runs(text: str) -> set[str]:
    """The single characters of scripts without spaces: a query of one of them finds it."""
    return set() if text.isascii() else set(_RUN.findall(folded(text[:MAX_TEXT])))


def hashtags(text: str) -> list[str]:
    """What stands behind a `#` in a text, as `hashtag` writes it; each once."""
    if "#" not in text and "\uff03" not in text:
        return []
    found = (hashtag(name) for name in _HASHTAG.findall(folded(text[:MAX_TEXT])))
    return [tag for tag in dict.fromkeys(found) if tag]


def hashtag(name: str) -> str:
    """One name as one token, `#name`; empty when nothing of it is a letter, digit or emoji."""
    spelled = folded(name[:MAX_TOKEN].lstrip("#\uff03"))
    kept = "".join(c for c in spelled if c == "_" or _CLASSES[ord(c)] != " ")
    kept = "".join(_CLASSES[ord(c)].strip() if c != "_" else c for c in kept)
    return f"#{kept[:MAX_TOKEN]}" if kept.strip("_") else ""


def mark(kind: str, *values: str) -> str:
    """A token for what is exact (who, where from): no text can contain it."""
    data = "\0".join(values).encode("utf-8", "surrogatepass")
    return kind + hashlib.blake2b(data, digest_size=8).hexdigest()
