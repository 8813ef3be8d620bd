"""Times of day in a zone, as moments: what the clock shows twice, or never, is decided here.

A time that is shown twice means its first moment, or its last where that is asked for. One that is
never shown, because the clock is moved over it, means the moment at which it is moved.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)
_STEP = timedelta(microseconds=1)


def moment(day: date, clock: time, zone: tzinfo, *, last: bool = False) -> datetime:
    """When the clock shows this on that day, in UTC."""
    local = datetime.combine(day, clock)
    first, second = (_utc(local.replace(fold=fold), zone) for fold in (0, 1))
    if first > second:  # moved over it: by the old offset it lies after the change
        return _change(second, first, zone)
    return second if last else first


def latest(clock: time, zone: tzinfo, now: datetime) -> datetime:
    """The last moment, up to `now`, at which the clock showed this for the first time on a day."""
    today = now.astimezone(zone).date()
    days = (today + DAY * number for number in (1, 0, -1, -2))
    return next(at for day in days if (at := moment(day, clock, zone)) <= now)


def day_of(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Start and end, in UTC, of the calendar day that holds `now`: start <= now < end."""
    today = now.astimezone(zone).date()
    return moment(today, time(), zone), moment(today + DAY, time(), zone, last=True)


def _utc(local: datetime, zone: tzinfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first moment with the offset that holds at `after`."""
    wanted = after.astimezone(zone).utcoffset()
    while after - before > _STEP:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == wanted:
            after = middle
        else:
            before = middle
    return after
