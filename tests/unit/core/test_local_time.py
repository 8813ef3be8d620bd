"""Times of day where the clock is moved: every hold ends, and ends later than it begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.local_time import day_of, latest, moment
from bot.flow.policy import Policy
from bot.flow.quiet_hours import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
# Changes at night, at midnight, a minute after it (an hour back: yesterday again), by half an hour,
# and a whole day that never was.
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Berlin", "America/New_York", "America/Goose_Bay", "America/Havana", "Asia/Beirut",
        "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC",
    )
]  # fmt: skip
CHANGES = [
    datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC), datetime(2010, 3, 14, 3, 31, tzinfo=UTC),
    datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC), datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2011, 12, 30, 10, tzinfo=UTC),
]  # fmt: skip
near = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-2 * 1440, 2 * 1440),
)
anywhen = st.datetimes(datetime(2005, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
instants = st.one_of(near, anywhen)
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(ZONES)


def berlin(day: date, hour: int, minute: int, fold: int = 0) -> datetime:
    at = datetime.combine(day, time(hour, minute, fold=fold), BERLIN)
    return at.astimezone(UTC)


AUTUMN, SPRING = date(2026, 10, 25), date(2026, 3, 29)


def test_a_time_shown_twice() -> None:
    assert moment(AUTUMN, time(2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert moment(AUTUMN, time(2, 30), BERLIN, last=True) == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


@pytest.mark.parametrize("last", [False, True])
def test_a_time_that_is_never_shown(last: bool) -> None:
    at = moment(SPRING, time(2, 30), BERLIN, last=last)
    assert at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "when the clock is moved over it"


def test_quiet_hours_in_the_hour_that_comes_twice() -> None:
    """One span: to the second time the clock shows 02:30, and never to a time that has passed."""
    hours = QuietHours(time(23), time(2, 30))
    end = berlin(AUTUMN, 2, 30, fold=1)
    for now in (berlin(AUTUMN, 2, 10), berlin(AUTUMN, 2, 45), berlin(AUTUMN, 2, 10, fold=1)):
        assert hours.until(now, BERLIN) == end
    assert hours.until(end, BERLIN) is None


def test_quiet_hours_that_end_in_the_hour_that_never_comes() -> None:
    hours = QuietHours(time(23), time(2, 30))
    assert hours.until(berlin(SPRING, 1, 59), BERLIN) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert hours.until(berlin(SPRING, 3, 0), BERLIN) is None


@given(instants, zones, clocks, clocks)
def test_no_hold_ends_before_now(now: datetime, zone: ZoneInfo, start: time, end: time) -> None:
    if start == end:
        return
    hours = QuietHours(start, end)
    policy = Policy(quiet=hours, zone=zone)
    until = policy.quiet_until(now)
    if until is not None:
        assert now < until <= now + timedelta(days=3)
        assert hours.until(until, zone) is None, "and then it is over"


@given(anywhen, clocks, clocks)
def test_without_changes_the_clock_alone_tells(now: datetime, start: time, end: time) -> None:
    if start == end:
        return
    clock = now.time()
    inside = start <= clock < end if start < end else clock >= start or clock < end
    until = QuietHours(start, end).until(now, UTC)
    assert (until is not None) == inside
    assert until is None or until.time() == end


@given(instants, zones)
def test_a_day_holds_its_moments(now: datetime, zone: ZoneInfo) -> None:
    start, end = day_of(now, zone)
    assert start <= now < end <= start + timedelta(hours=50)


@given(instants, zones, clocks)
def test_the_latest_is_the_latest(now: datetime, zone: ZoneInfo, clock: time) -> None:
    found = latest(clock, zone, now)
    assert now - timedelta(hours=50) < found <= now
    shown = [moment(found.astimezone(zone).date() + timedelta(n), clock, zone) for n in (1, 2)]
    assert all(at > now or at == found for at in shown)
