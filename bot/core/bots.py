"""Accounts that are run by a machine, by what they say of themselves.

A reply to another bot may be answered by it, and so on without end. Anything unclear counts as one.
"""

from __future__ import annotations

import re
import unicodedata

# A run of letters; "b0t" is written for "bot".
_WORD = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(r"(?:bot|бот|μποτ)s?\Z")
_NAMED_INSIDE = ("ボット", "봇", "机器人", "機器人", "روبوت")  # no spaces between words
# Words and family names that only end like that. "janetalbot" is none of them: unclear.
_OTHERS = frozenset(
    {"abbot", "barbot", "cabot", "chabot", "corbot", "gobot", "jabot", "lambot", "rabot", "ribot"}
    | {"sabot", "talbot", "turbot", "хобот"}
)
_SAID = re.compile(r"(?<![^\W\d_])(?:no)?(?:bots?|бот)(?![^\W\d_])|automated")


def is_bot_name(name: str) -> bool:
    """Whether a user name or display name calls its bearer a bot, as `daily_quote_bot`.

    Any of its words may: `autoreplybot_official` and `robot.maker` (unclear) do, in any width of
    letters; `talbot`, `botanica` and `robotics` do not.
    """
    folded = _folded(name)
    return any(word in folded for word in _NAMED_INSIDE) or any(
        _NAMED.search(word) and word not in _OTHERS and word.removesuffix("s") not in _OTHERS
        for word in _WORD.findall(folded)
    )


def says_bot(text: str) -> bool:
    """Whether a profile's own words say "bot", "automated" or, as who wants none, "nobot"."""
    return _SAID.search(_folded(text)) is not None


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain.replace("b0t", "bot")
