"""Values of the service's own keys, as people write them: quiet hours and thresholds.

Every `parse_` takes what TOML or the environment gave and raises ValueError with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from bot.flow.quiet_hours import QuietHours
from bot.schema.problems import quote
from bot.schema.values import plain

_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number in the unit of what it limits, or a percentile, 0..100, of what was collected."""

    value: float
    percentile: bool = False

    def __str__(self) -> str:
        return f"p{self.value:g}" if self.percentile else f"{self.value:g}"


def parse_threshold(value: object) -> Threshold | None:
    """A plain number, or `"p1"`: that percentile of the collected images; None for `"off"`."""
    if isinstance(value, Threshold):
        return value
    if value == "off":
        return None
    text = "" if isinstance(value, bool) else plain(value)
    percentile = text.startswith("p")
    try:
        number = float(text.removeprefix("p"))
    except ValueError:
        number = -1.0
    if not 0 <= number <= (100 if percentile else 1e9):
        raise ValueError(f'{quote(value)} is neither a number nor a percentile such as "p1"')
    return Threshold(number, percentile)


def parse_quiet_hours(value: object) -> QuietHours | None:
    """`"23:00-07:00"`; None for an empty text. 24:00 is midnight."""
    if isinstance(value, QuietHours):
        return value
    if value == "":
        return None
    match = _HOURS.fullmatch(plain(value))
    if not match:
        raise ValueError(f'{quote(value)} is not a span of hours such as "23:00-07:00"')
    return QuietHours(_clock(match[1], match[2]), _clock(match[3], match[4]))


def _clock(hour: str, minute: str) -> time:
    try:
        return time(int(hour) % 24 if minute == "00" and hour == "24" else int(hour), int(minute))
    except ValueError:
        raise ValueError(f"{hour}:{minute} is not a time of day") from None
