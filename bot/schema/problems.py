"""How a problem in the configuration is told: where, which key, what, and the nearest word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple[str | int, ...]  # ("tracks", 0, "every")

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SHOWN = 60  # characters of a value that a message repeats


@dataclass(frozen=True, order=True, slots=True)
class Origin:
    """Where a value comes from: a variable of the environment, or else a line of the file."""

    variable: str = ""
    line: int = 1


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One line of a ConfigError; problems of the file sort first, by line."""

    origin: Origin
    key: str
    what: str

    def text(self, file: str) -> str:
        place = self.origin.variable or f"{file}:{self.origin.line}"
        return f"{place}: {self.key}: {self.what}" if self.key else f"{place}: {self.what}"


def origin_of(path: Path, origins: Mapping[Path, Origin]) -> Origin:
    """The place of `path`, or of the nearest table around it that was written down."""
    while path and path not in origins:
        path = path[:-1]
    return origins.get(path, Origin())


def key_name(path: Path) -> str:
    """`("tracks", 0, "every")` as `tracks[0].every`."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += ("." if name else "") + (part if _BARE.fullmatch(part) else quote(part))
    return name


def quote(value: object) -> str:
    """`value` in double quotes on one line, cut when long, printable whatever it holds."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "that number"  # Python refuses to print numbers of thousands of digits
    if not isinstance(value, int | float | str):
        return f"a {type(value).__name__}"
    text = str(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return f'"{"".join(shown)}"'


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """` (did you mean "…"?)` with the nearest choice, or nothing when none is near."""
    near = nearest(word, choices)
    return f" (did you mean {quote(near)}?)" if near else ""


def nearest(word: object, choices: Iterable[str]) -> str:
    """The choice that differs least, in whatever case; "" when none is near."""
    folded = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(str(word)[:_SHOWN].casefold(), folded, n=1)
    return folded[near[0]] if near else ""


def not_one_of(word: object, choices: Iterable[str]) -> str:
    """`"tnit" is not one of tint, outline (did you mean "tint"?)`."""
    choices = list(choices)
    return f"{quote(word)} is not one of {', '.join(choices)}{did_you_mean(word, choices)}"
