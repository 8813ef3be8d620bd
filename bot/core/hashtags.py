"""The hashtags of a caption, in any script."""

from __future__ import annotations

import re
import unicodedata

from bot.core import normal_form as normal
from bot.core.links import without_links

_JOINERS = "\u200c\u200d"  # Persian and Indic words and emoji are written with them
_KEYCAP = "\u20e3"  # the frame around a figure
_FIGURE = re.compile("[0-9]\ufe0f?\\Z")
_FIRST_TAG, _LAST_TAG = "\U000e0020", "\U000e007f"  # letters of flags such as 🏴󠁧󠁢󠁳󠁣󠁴󠁿
# Unicode's Emoji property, without ASCII; whole blocks where the next emoji will come.
_EMOJI = re.compile(
    "[©®‼⁉™ℹ↔-↙↩↪⌚⌛⌨⏏⏩-⏳⏸-⏺Ⓜ▪▫▶◀◻-◾☀-☄☎☑☔☕☘☝☠☢☣☦☪☮☯☸-☺♀♂♈-♓♟♠♣♥♦♨♻♾♿⚒-⚗⚙⚛⚜⚠⚡⚧⚪⚫⚰⚱⚽⚾⛄⛅⛈⛎⛏⛑⛓⛔"
    "⛩⛪⛰-⛵⛷-⛺⛽✂✅✈-✍✏✒✔✖✝✡✨✳✴❄❇❌❎❓-❕❗❣❤➕-➗➡➰➿⤴⤵⬅-⬇⬛⬜⭐⭕〰〽㊗㊙🀄🃏🅰🅱🅾🅿🆎🆑-🆚"
    "\U0001f1e6-\U0001f1ff🈁🈂🈚🈯🈲-🈺🉐🉑\U0001f300-\U0001f53d\U0001f546-\U0001f64f\U0001f680-\U0001f6ff"
    "\U0001f7e0-\U0001f7ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945\U0001f947-\U0001faff]"
)


def hashtags(caption: str) -> tuple[str, ...]:
    """Hashtags in order of appearance, each once, in their normal form.

    A tag is a run of letters, digits, underscores, marks and emoji of any script
    (`#fun🎉` is one). '#' inside a word, a URL or the emoji #️⃣ starts none, but
    '#one#two' are two, and so does one right after a word of a script that is written without
    spaces.
    """
    text = normal.usual_width(without_links(caption))
    found: dict[str, None] = {}
    end_of_last = start = -1
    while (start := text.find("#", start + 1)) >= 0:
        if start > 0 and start != end_of_last and _bars_a_tag(text[start - 1]):
            continue
        end = _run(text, start + 1)
        if end > start + 1:
            found[normal.hashtag(text[start + 1 : end])] = None
            end_of_last = end
    return tuple(found)


def one_hashtag(text: str) -> str:
    """The hashtag that somebody names, in its normal form.

    Raises ValueError, which says why, for one that no caption can contain: it would never match.
    """
    tag = normal.hashtag(text)
    found = hashtags(f"#{tag}")
    if found == (tag,):
        return tag
    strange = next((c for c in tag if not (_joins(c) or c in _JOINERS or c == _KEYCAP)), tag[:1])
    why = f": {strange!r} cannot stand in one" if strange else ": there is nothing in it"
    raise ValueError(f"is not a hashtag{why}")


def _run(text: str, start: int) -> int:
    """Where the run of tag characters that begins at `start` ends. No mark begins one."""
    end = start
    while end < len(text) and _goes_on(text, start, end):
        end += 1
    return end


def _goes_on(text: str, start: int, at: int) -> bool:
    """Whether a tag from `start` to `at` has the character at `at` as well."""
    here = text[at]
    if at == start:
        return _begins(here)
    if here in _JOINERS:
        return _joins(text[at + 1 : at + 2])
    return _joins(here) or (here == _KEYCAP and _FIGURE.search(text, at - 2, at) is not None)


def _bars_a_tag(char: str) -> bool:
    """Whether '#' after this character is part of a word, or of an entity such as &#39;."""
    return char in "&_" or unicodedata.category(char) in ("Lu", "Ll", "Lt", "Nd")


def _begins(char: str) -> bool:
    return bool(char) and (char.isalnum() or char == "_" or _EMOJI.match(char) is not None)


def _joins(char: str) -> bool:
    return _begins(char) or (bool(char) and (_is_mark(char) or _FIRST_TAG <= char <= _LAST_TAG))


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc")
