"""Quiet hours: a span of the day, in the operator's local time, in which nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta


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

    def __contains__(self, clock: time) -> bool:
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def until(self, local: datetime) -> datetime | None:
        """The end, in UTC, of the quiet hours that hold `local`, an aware time in the operator's
        zone; None outside of them."""
        clock = local.time()
        if clock not in self:
            return None
        day = local.date() if clock < self.end else local.date() + timedelta(days=1)
        return datetime.combine(day, self.end, local.tzinfo).astimezone(UTC)
