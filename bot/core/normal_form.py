"""One normal form for each kind of text that is compared: whoever compares, compares these.

Every function gives the same text for all spellings of one thing, and gives its own answer back
unchanged. Two sides of a comparison both go through the same one.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

_WIDE = re.compile("[\uff01-\uffdc]+")  # full-width Latin and signs, half-width kana and Hangul
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # how a character looks, no more
_AROUND = re.compile(r"^[\s#]+|\s+$")


def hashtag(text: str) -> str:
    """A hashtag without '#': lower case, NFC, usual width, without variation selectors.

    Not NFKC, which spells emoji out (🈳 as 空, ™ as tm), and not casefolded, which makes `strasse`
    of `straße`: the name is also the address of its page on the platform, and those are two.
    """
    tag = _AROUND.sub("", _SELECTORS.sub("", usual_width(text)))
    return _lower(tag).replace("ⓜ", "Ⓜ")  # an emoji, for which Unicode has a small letter


def username(text: str) -> str:
    """A user name without '@': lower case, NFC, usual width. An id stays what it is."""
    return _lower(usual_width(text).strip().lstrip("@"))


def url(text: str) -> str:
    """The address of a post: no scheme, `www.`, query, fragment or last slash; the path as it is.

    A part of an address stays itself, but for a slash at its end.
    """
    text = unicodedata.normalize("NFC", text).strip()
    whole = "//" in text or "." in text.partition("/")[0]
    try:
        parts = urlsplit(text if "//" in text else f"//{text}") if whole else None
    except ValueError:
        parts = None
    if parts is None:
        return text.rstrip("/")
    return (parts.netloc.lower().removeprefix("www.") + parts.path).rstrip("/")


def name(text: str) -> str:
    """A name that an operator gives, of a dataset: NFC; capitals count."""
    return unicodedata.normalize("NFC", text).strip()


def track_key(account: str, kind: str, target: str) -> str:
    """What a track is called: `main:hashtag:sunset`."""
    normal = {"hashtag": hashtag, "profile": username}.get(kind, str)
    return f"{account}:{kind}:{normal(target)}"


def words(text: str) -> str:
    """Prose, as it is searched: NFKC and casefold, as Unicode's NFKC_Casefold."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def usual_width(text: str) -> str:
    """Full-width Latin letters and signs, half-width kana: in the width they usually have."""
    return _WIDE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)


def _lower(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
