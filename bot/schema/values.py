"""Values as people write them: durations, sizes, rates, names.

Every `parse_` takes what TOML or the environment gave and raises ValueError with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.core.hashtags import one_hashtag
from bot.core.normal_form import username
from bot.schema.problems import quote

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_LONGEST = timedelta(days=3650)
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
_SECONDS = re.compile(_NUMBER)
_PART = re.compile(rf"({_NUMBER}) ?([wdhms])")
_DURATION = re.compile(rf"(?:{_PART.pattern} ?)+")

_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _SIZES |= {_letter: 1000**_power, f"{_letter}b": 1000**_power, f"{_letter}ib": 1024**_power}
_SIZE = re.compile(rf"({_NUMBER}) ?([a-z]{{0,3}})")

_RATE = re.compile(r"([0-9]{1,9}) ?/ ?([0-9]{0,6}) ?([wdhms])")

_JOINERS = "\u200c\u200d"  # invisible, but part of emoji and of Persian words


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` actions in every `per`; both positive."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        unit = next((name for name, size in _UNITS.items() if size == self.per), None)
        return f"{self.count}/{unit or format_duration(self.per)}"


def parse_duration(value: object) -> timedelta:
    """`"15m"`, `"1h30m"`, `"2d"`, or a number of seconds; from 0 to ten years.

    A number as text is refused: who writes `"15"` rarely means seconds.
    """
    text = value.strip() if isinstance(value, str) else ""
    if _SECONDS.fullmatch(text) and float(text):
        raise ValueError(
            f'{quote(value)} has no unit: "{text}m" for minutes, "{text}s" for seconds'
        )
    return parse_seconds(value)


def parse_seconds(value: object) -> timedelta:
    """Like `parse_duration`, where a number as text means seconds as well."""
    if isinstance(value, timedelta):
        return value
    text = plain(value)
    if _SECONDS.fullmatch(text):
        text += "s"
    if not _DURATION.fullmatch(text):
        raise ValueError(f'{quote(value)} is not a duration such as "30s", "15m", "24h" or "2d"')
    # In whole microseconds: sums of floats would not read back what format_duration wrote.
    micro = sum(
        Decimal(number) * (_UNITS[unit] // timedelta.resolution)
        for number, unit in _PART.findall(text)
    )
    if micro > _LONGEST // timedelta.resolution:
        raise ValueError(f"{quote(value)} is longer than ten years")
    return timedelta(microseconds=int(micro))


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as `value`: `1h30m`, `0s`, `1.5s`."""
    text, rest = "", value
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    if not rest and text:
        return text
    seconds = Decimal(rest // timedelta.resolution) / 1_000_000
    return f"{text}{seconds.normalize():f}s"


def parse_day(value: str) -> datetime:
    """A date, or a date with a time, as aware UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{quote(value)} is not a date such as 2026-01-31") from None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{quote(value)} is outside the calendar") from None


def parse_size(value: object) -> int:
    """Bytes from `"20MB"` (powers of 1000), `"20MiB"` (of 1024) or a plain number; at least 1."""
    match = _SIZE.fullmatch(plain(value).lower())
    if not match or match[2] not in _SIZES:
        raise ValueError(f'{quote(value)} is not a size such as "20MB" or "512KiB"')
    size = int(Decimal(match[1]) * _SIZES[match[2]])
    if size < 1:
        raise ValueError("must be at least one byte")
    return size


def parse_rate(value: object) -> Rate | None:
    """`"20/d"`, `"6/h"`, `"200/15m"`; None for `"off"` (no limit)."""
    if isinstance(value, Rate):
        return value
    if value == "off":
        return None
    match = _RATE.fullmatch(plain(value))
    count, per = (int(match[1]), int(match[2] or 1) * _UNITS[match[3]]) if match else (0, None)
    if not count or not per or per > _LONGEST:
        raise ValueError(f'{quote(value)} is not a rate such as "20/d", "6/h", "200/15m" or "off"')
    return Rate(count, per)


def parse_hashtag(value: object) -> str:
    """A hashtag in its normal form; one that no caption can contain is refused."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004 - pydantic takes ValueError only
    try:
        return one_hashtag(value)
    except ValueError as error:
        raise ValueError(f"{quote(value)} {error}, so it would never be found") from None


def parse_username(value: object) -> str:
    """A user name or id, in the normal form of names."""
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004 - pydantic takes ValueError only
    name = username(value)
    if not re.search(r"\w", name) or set(name) & set("/\\?#") or _odd(name):
        raise ValueError(f"{quote(value)} is not a user name")
    return name


def _odd(name: str) -> bool:
    return any(
        (c.isspace() or unicodedata.category(c).startswith("C")) and c not in _JOINERS for c in name
    )


def plain(value: object) -> str:
    """Text or a number as text; anything else, true and false too, as text that fits nothing."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "huge"
    return str(value).strip() if isinstance(value, int | float | str) else ""
