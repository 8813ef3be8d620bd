"""Quiet hours: a span of the day, in the operator's local time, in which nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from bot.core.local_time import DAY, moment


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` up to, not including, `end`, in local time; over midnight when end < start.

    Raises ValueError when both are the same time, which could mean never as well as always.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("begins and ends at the same time; leave it empty for no quiet hours")

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def until(self, now: datetime, zone: tzinfo) -> datetime | None:
        """The end, in UTC, of the quiet hours that hold `now`; None outside of them.

        A night is one span: from when the clock first shows `start` to when it last shows `end`.
        """
        today = now.astimezone(zone).date()
        over_midnight = DAY if self.end < self.start else timedelta()
        for day in (today - DAY, today, today + DAY):
            begin = moment(day, self.start, zone)
            end = moment(day + over_midnight, self.end, zone, last=True)
            if begin <= now < end:
                return end
        return None
