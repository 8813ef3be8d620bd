"""Keys of records that are fixed before they are written.

A post's key must be a TID: microseconds since 1970 and a number of 10 bits, in 13 characters.
"""

from __future__ import annotations

import hashlib

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"  # in the order of ASCII
_LENGTH = 13
_FIRST = 1_672_531_200_000_000  # the year 2023: for a source whose key is no TID
_SPREAD = 1_000_000  # microseconds


def key_of(token: str, source_key: str) -> str:
    """The key of the reply with this token: within a second after its source, and always the same.

    20 and 10 bits of the token's hash tell it from any other reply.
    """
    digest = int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "big")
    micros = (_micros(source_key) or _FIRST) + 1 + digest % _SPREAD
    return encode(micros, (digest >> 40) & 1023)


def encode(micros: int, number: int) -> str:
    """A TID. `number`: 0 to 1023."""
    value = (micros << 10) | number
    return "".join(_ALPHABET[(value >> (5 * at)) & 31] for at in reversed(range(_LENGTH)))


def _micros(key: str) -> int | None:
    if len(key) != _LENGTH or not set(key) <= set(_ALPHABET) or key[0] > "j":
        return None
    value = 0
    for char in key:
        value = value << 5 | _ALPHABET.index(char)
    return value >> 10
