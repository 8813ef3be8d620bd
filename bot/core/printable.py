"""Other people's text, made safe to print on a terminal."""

from __future__ import annotations

import unicodedata

# Joiners build emoji and letters of several scripts; tag characters build flags.
_HARMLESS = {0x200C, 0x200D, *range(0xE0020, 0xE0080)}


def printable(text: object, *, lines: bool = False) -> str:
    r"""The text with every character spelled out (as \x1b) that would act on a terminal.

    Those are control characters, C1 included, lone surrogates, line separators, and the format
    characters that reverse or hide what stands beside them. `lines`: line feeds stay, for text of
    our own that has several lines.

    >>> printable("red\x1b[31m")
    'red\\x1b[31m'
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(char if _is_safe(char, lines=lines) else _spelled(char) for char in words)


def _is_safe(char: str, *, lines: bool) -> bool:
    if char == "\n":
        return lines
    if char == " " or ord(char) in _HARMLESS:
        return True
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
