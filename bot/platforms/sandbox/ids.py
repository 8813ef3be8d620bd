"""Numbers and codes in the form Instagram gives them."""

from __future__ import annotations

_EPOCH_MS = 1_314_220_021_721
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def media_pk(at: float, serial: int) -> int:
    """A media id that sorts by time: milliseconds since Instagram's epoch, then a serial."""
    return max(0, int(at * 1000) - _EPOCH_MS) << 23 | serial & 0x7FFFFF


def code(pk: int) -> str:
    """The shortcode in a post's address."""
    letters = ""
    while pk:
        pk, digit = divmod(pk, 64)
        letters = _ALPHABET[digit] + letters
    return letters or "A"


def pk_of(shortcode: str) -> int:
    """The media id behind a shortcode. Raises ValueError for a character no shortcode has."""
    pk = 0
    for letter in shortcode:
        pk = pk * 64 + _ALPHABET.index(letter)
    return pk
