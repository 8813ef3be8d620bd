"""Durations, sizes, rates, hours and names as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.values import parse_quiet_hours
from bot.flow.quiet_hours import QuietHours
from bot.schema.values import (
    Rate,
    format_duration,
    parse_day,
    parse_duration,
    parse_hashtag,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_username,
)

ANYTHING = st.one_of(
    st.text(),
    st.integers(),
    st.integers(min_value=10**5000, max_value=10**5001),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.text(), max_size=2),
    st.dates(),
)


@given(ANYTHING)
def test_a_parser_raises_nothing_but_value_error(value: object) -> None:
    for parse in (
        parse_duration,
        parse_size,
        parse_rate,
        parse_quiet_hours,
        parse_hashtag,
        parse_username,
    ):
        try:
            parse(value)
        except ValueError as error:
            assert str(error)
            assert "\n" not in str(error)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_a_formatted_duration_reads_back_as_itself(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(0, 100), st.sampled_from("wdhms"))
def test_a_duration_is_its_number_times_its_unit(count: int, unit: str) -> None:
    seconds = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}[unit]
    assert parse_duration(f"{count}{unit}") == timedelta(seconds=count * seconds)
    assert parse_duration(count * seconds) == timedelta(seconds=count * seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("1h30m", 5400), ("1.5s", 1.5), (90, 90), (0.25, 0.25), (" 2d ", 172800)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["15", " 90 ", "1.5"])
def test_a_number_as_text_is_no_duration(text: str) -> None:
    """Who writes every = "15" means minutes, and would get seconds."""
    with pytest.raises(ValueError, match=rf'has no unit: "{text.strip()}m" for minutes'):
        parse_duration(text)
    assert parse_duration("0") == timedelta(0)
    assert parse_seconds(text) == timedelta(seconds=float(text))


@pytest.mark.parametrize(
    "text", ["", "15x", "-1m", "m", "15 minutes", "1e3", True, None, [1], float("nan"), "٣m"]
)
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_duration_over_ten_years_is_a_slip() -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration("3651d")


@given(
    st.integers(1, 10**6),
    st.sampled_from([("", 1), ("B", 1), ("kB", 10**3), ("KB", 10**3), ("MB", 10**6), ("M", 10**6),
                     ("GB", 10**9), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30)]),
    st.sampled_from(["", " "]),
)  # fmt: skip
def test_a_size_is_its_number_times_its_unit(count: int, unit: tuple[str, int], gap: str) -> None:
    assert parse_size(f"{count}{gap}{unit[0]}".strip()) == count * unit[1]


@pytest.mark.parametrize("text", ["", "MB", "20XB", "-1", "0", "0.1B", True, None, "20MBB"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|at least one byte"):
        parse_size(text)


def test_rates() -> None:
    assert parse_rate("20/d") == Rate(20, timedelta(days=1))
    assert parse_rate("200/15m") == Rate(200, timedelta(minutes=15))
    assert parse_rate("6 / h") == Rate(6, timedelta(hours=1))
    assert parse_rate("off") is None
    assert str(Rate(20, timedelta(days=1))) == "20/d"
    assert str(Rate(200, timedelta(minutes=15))) == "200/15m"


@pytest.mark.parametrize("text", ["20", "0/d", "20/", "20/0m", "x/d", "-1/d", 20, False, "1/4000d"])
def test_no_rates(text: object) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)


def test_quiet_hours_over_midnight() -> None:
    night = parse_quiet_hours("23:00-07:00")
    assert night == QuietHours(time(23), time(7))
    assert str(night) == "23:00-07:00"
    assert parse_quiet_hours("") is None
    assert parse_quiet_hours("22:00-24:00") == QuietHours(time(22), time(0))
    with pytest.raises(ValueError, match="same time"):
        QuietHours(time(7), time(7))


@pytest.mark.parametrize(
    "text", ["7-23", "25:00-07:00", "24:30-07:00", "07:00-07:00", "x", 7, None]
)
def test_no_quiet_hours(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a|at the same time"):
        parse_quiet_hours(text)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("#Sunset", "sunset"),
        ("cafe\u0301", "café"),
        ("＃東京", "東京"),
        (" Été ", "été"),
        ("a_1", "a_1"),
    ],
)
def test_hashtags(written: str, tag: str) -> None:
    assert parse_hashtag(written) == tag


@pytest.mark.parametrize("text", ["", "#", "two words", "a,b", "a/b", "a\x00", 3, None])
def test_no_hashtags(text: object) -> None:
    with pytest.raises(ValueError, match=r"hashtag|text in quotes"):
        parse_hashtag(text)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30+02:00", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
    ],
)
def test_days(written: str, moment: datetime) -> None:
    assert parse_day(written) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "31.01.2026"])
def test_no_days(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date such as"):
        parse_day(text)


def test_a_moment_before_the_calendar_is_no_day() -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        parse_day("0001-01-01T00:00+14:00")


def test_user_names() -> None:
    assert parse_username("@Some.Name") == "some.name"
    assert parse_username("_") == "_"
    for text in ("", "@", "@.", "..", "-", "a b", "https://x/y", 3):
        with pytest.raises(ValueError, match=r"user name|text in quotes"):
            parse_username(text)
