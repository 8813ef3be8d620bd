"""Buckets, breakers and the retry policy, with a clock that the test moves."""

from __future__ import annotations

import itertools
import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings
from bot.core.errors import (
    ActionBlocked,
    AuthError,
    ChallengeRequired,
    LoginRequired,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    Unavailable,
)
from bot.core.events import Breaker
from bot.platforms.instagram.settings import InstagramAccount
from bot.platforms.pacing import (
    ACCOUNT,
    DAY,
    THROTTLED,
    LedgerPacer,
    Patience,
    TokenRate,
    merged,
    refill,
)
from bot.platforms.retries import reads
from bot.service.app import rates_of
from tests.ledger import MemoryLedger

INSTAGRAM = InstagramAccount(platform="instagram", username="bot")
RATES = rates_of(Settings(), INSTAGRAM) | {"media": None}
START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """A clock, a sleep that moves it, a ledger that outlives pacers."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []
        self.ledger = MemoryLedger()

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        return False

    def pacer(self, account: str = "main", **options: object) -> LedgerPacer:
        values: dict[str, object] = {
            "clock": lambda: self.now,
            "patience": Patience(sleep=self.sleep),
            "rng": random.Random(7),
            "rates": RATES
            | {"read": TokenRate(per_hour=3600, burst=2), "comment": TokenRate(60, 1)},
        }
        return LedgerPacer(account, self.ledger, **(values | options))  # type: ignore[arg-type]

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("count", "per", "rate"),
    [
        (300, timedelta(hours=1), TokenRate(300, 50)),
        (6, timedelta(hours=1), TokenRate(6, 1)),
        (24, timedelta(days=1), TokenRate(1, 1)),
        (200, timedelta(minutes=15), TokenRate(800, 133)),
        (2, timedelta(seconds=1), TokenRate(7200, 2)),
    ],
)
def test_ten_minutes_worth_may_come_at_once(count: int, per: timedelta, rate: TokenRate) -> None:
    assert TokenRate.of(count, per) == rate


def test_a_burst_is_free_and_then_it_waits(world: World) -> None:
    pacer = world.pacer()
    for _ in range(2):
        pacer.before("read")
    assert world.slept == []
    pacer.before("read")
    assert world.slept == [pytest.approx(1.0)]


def test_over_any_time_the_rate_holds(world: World) -> None:
    pacer = world.pacer(rates={"read": TokenRate(per_hour=1800, burst=3)})
    for _ in range(103):
        pacer.before("read")
    assert (world.now - START).total_seconds() == pytest.approx(200, rel=0.01)


def test_a_wait_that_is_too_long_is_refused_and_takes_nothing(world: World) -> None:
    pacer = world.pacer(patience=Patience(30, world.sleep))
    pacer.before("comment")
    with pytest.raises(RateLimited) as caught:
        pacer.before("comment")
    assert caught.value.retry_after == pytest.approx(60)
    world.pass_seconds(60)
    pacer.before("comment")
    assert world.slept == []


def test_waiting_stops_when_the_service_does() -> None:
    stop = threading.Event()
    rates = {"read": TokenRate(60, 1)}
    pacer = LedgerPacer("main", MemoryLedger(), rates, patience=Patience(60, stop.wait))
    pacer.before("read")
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(RateLimited, match="stopped"):
        pacer.before("read")


def test_buckets_and_breakers_outlive_a_restart_and_are_per_account(world: World) -> None:
    pacer = world.pacer()
    pacer.before("comment")
    pacer.after("read", RateLimited("429", 100))
    for action in ("comment", "read"):
        with pytest.raises(RateLimited):
            world.pacer().before(action)
        world.pacer("other").before(action)


def test_retry_after_is_honoured(world: World) -> None:
    pacer = world.pacer()
    pacer.after("read", RateLimited("429", 100))
    world.pass_seconds(99)
    with pytest.raises(RateLimited):
        pacer.before("read")
    world.pass_seconds(100 * THROTTLED.jitter + 1)
    pacer.before("read")
    pacer.before("comment")  # never was concerned


def pauses(world: World, error: RateLimited, action: str, count: int) -> list[float]:
    """How long the breaker opens for the same error, again and again."""
    pacer, seconds = world.pacer(), []
    for _ in range(count):
        pacer.after(action, error)
        with pytest.raises(RateLimited) as caught:
            pacer.before(action)
        assert caught.value.retry_after is not None
        seconds.append(caught.value.retry_after)
        world.pass_seconds(caught.value.retry_after + 0.001)
    return seconds


def test_repeats_pause_longer_and_success_forgives(world: World) -> None:
    grown = pauses(world, RateLimited("429"), "read", 12)
    assert 60 <= grown[0] <= 75
    assert all(later > earlier for earlier, later in itertools.pairwise(grown[:7]))
    assert max(grown) <= THROTTLED.longest * (1 + THROTTLED.jitter)
    pacer = world.pacer()
    pacer.before("read")
    pacer.after("read", None)
    assert 60 <= pauses(world, RateLimited("429"), "read", 1)[0] <= 75


def test_a_blocked_action_is_frozen_for_a_day(world: World) -> None:
    pacer = world.pacer()
    pacer.after("comment", ActionBlocked("feedback_required", 5))
    pacer.before("read")
    world.pass_seconds(60)
    with pytest.raises(RateLimited):
        pacer.before("comment")


def test_please_wait_rests_the_whole_account(world: World) -> None:
    pacer = world.pacer()
    pacer.after("comment", PleaseWait("please wait"))
    for action in RATES:
        with pytest.raises(RateLimited) as caught:
            pacer.before(action)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1800
    world.pacer("other").before("read")
    world.pass_seconds(2 * 1800)
    pacer.before("read")
    pacer.after("read", None)
    assert world.ledger.state("main", ACCOUNT) == Breaker()


def test_login_trouble_waits_for_a_person(world: World) -> None:
    pacer = world.pacer()
    pacer.after("read", ChallengeRequired("look at your phone"))
    world.pass_seconds(400 * DAY)
    for action in RATES:
        with pytest.raises(AuthError, match="look at your phone"):
            pacer.before(action)
    pacer.after("read", None)  # a request that was still in flight
    with pytest.raises(AuthError):
        world.pacer().before("read")
    world.pacer().resume()
    pacer.before("read")


def test_a_person_does_not_end_the_pauses_of_the_platform(world: World) -> None:
    pacer = world.pacer()
    pacer.after("read", RateLimited("429", 3600))
    pacer.after("comment", ActionBlocked("feedback_required"))
    pacer.after("read", PleaseWait("please wait", 7200))  # the account's breaker, not latched yet
    pacer.after("read", ChallengeRequired("look at your phone"))  # and now it is
    pacer.resume()
    for action in ("read", "comment", "dm"):
        with pytest.raises(RateLimited):
            pacer.before(action)
    world.pass_seconds(3 * 3600)
    pacer.before("read")
    with pytest.raises(RateLimited, match="feedback_required"):
        pacer.before("comment")
    pacer.resume(force=True)
    pacer.before("comment")
    assert world.ledger.breakers("main") == {}


def test_an_ended_session_is_worth_a_login_but_a_failed_login_is_not(world: World) -> None:
    pacer = world.pacer()
    pacer.after("read", LoginRequired("403"))
    pacer.before("login")
    pacer.after("login", LoginRequired("403"))
    with pytest.raises(AuthError):
        pacer.before("read")


@pytest.mark.parametrize("error", [Unavailable("500"), OutcomeUnknown("cut"), None])
def test_other_outcomes_open_nothing(world: World, error: Exception | None) -> None:
    pacer = world.pacer()
    pacer.after("read", error)
    pacer.before("read")
    assert world.ledger.breakers("main") == {}


def test_an_answer_to_an_older_request_closes_nothing(world: World) -> None:
    pacer = world.pacer()
    pacer.after("read", RateLimited("429", 100))
    pacer.after("read", None)
    with pytest.raises(RateLimited):
        pacer.before("read")


def test_unlimited_actions_still_have_a_breaker(world: World) -> None:
    pacer = world.pacer()
    for _ in range(1000):
        pacer.before("media")
    pacer.after("media", RateLimited("429", 10))
    with pytest.raises(RateLimited):
        pacer.before("media")


def test_nobody_waits_for_an_image(world: World) -> None:
    """A thread that waited for hundreds of them would send no reply meanwhile."""
    slept: list[float] = []

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        return True

    rates = {"media": TokenRate(per_hour=3600, burst=2)}
    pacer = LedgerPacer("main", world.ledger, rates, patience=Patience(sleep=sleep))
    pacer.before("media")
    pacer.before("media")
    with pytest.raises(RateLimited) as caught:
        pacer.before("media")
    assert slept == [] and 0 < (caught.value.retry_after or 0) <= 1


def test_other_actions_go_on_while_a_read_waits(world: World) -> None:
    """Both for a token and for the next attempt; where the other action's own limit allows."""
    done: list[tuple[str, float]] = []

    def meanwhile() -> None:
        seconds = (world.now - START).total_seconds()
        try:
            pacer.before("comment")
        except RateLimited:
            done.append(("held", seconds))
        else:
            done.append(("commented", seconds))

    pacer = world.pacer(patience=Patience(2.0, world.sleep, meanwhile))
    for _ in range(2):
        pacer.before("read")
    assert done == []
    pacer.before("read")
    assert done == [("commented", 0.0), ("held", 0.5), ("held", 1.0)]
    done.clear()
    assert not pacer.rest(0.7)
    assert [what for what, _ in done] == ["held"] * 3
    done.clear()
    rates = RATES | {"upload": TokenRate(3600, 1)}
    world.pacer(patience=Patience(2.0, world.sleep, meanwhile), rates=rates).before("upload")
    assert done == [], "a write that waits is not interrupted by another one"


def test_tokens_are_taken_once_across_threads() -> None:
    ledger, taken = MemoryLedger(), []

    def take() -> None:
        for _ in range(50):
            if ledger.take("main", "read", now=START, rate=1.0, burst=60) == 0.0:
                taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 60


BREAKERS = st.builds(
    Breaker,
    open_until=st.none() | st.datetimes(timezones=st.just(UTC)),
    failures=st.integers(0, 9),
    latched=st.booleans(),
    reason=st.text(max_size=3),
)


@given(BREAKERS, BREAKERS)
def test_a_trip_never_shortens_or_unlatches(old: Breaker, new: Breaker) -> None:
    both = merged(old, new)
    for one in (old, new):
        assert one.open_until is None or (both.open_until and both.open_until >= one.open_until)
        assert both.failures >= one.failures
        assert both.latched >= one.latched
    assert both.reason in (old.reason, new.reason)


@given(st.floats(0, 50), st.floats(-1e6, 1e6), st.floats(0.001, 100), st.integers(1, 50))
def test_a_bucket_never_holds_more_than_its_burst(
    tokens: float, elapsed: float, rate: float, burst: int
) -> None:
    filled = refill(min(tokens, burst), elapsed, rate, burst)
    assert min(tokens, burst) <= filled <= burst
    if elapsed <= 0:
        assert filled == min(tokens, burst)


@given(st.integers(1, 500), st.none() | st.floats(-10, 1e9), st.integers())
def test_pauses_are_bounded(failures: int, asked: float | None, seed: int) -> None:
    pause = THROTTLED(failures, asked, random.Random(seed))
    assert 0 < pause <= DAY * (1 + THROTTLED.jitter)
    if asked and 0 < asked < DAY:
        assert asked <= pause <= asked * (1 + THROTTLED.jitter)


def attempt(errors: list[Exception]) -> tuple[int, list[float], str]:
    """Calls made, pauses slept, and what came of it."""
    calls = 0
    slept: list[float] = []

    def rest(seconds: float) -> bool:
        slept.append(seconds)
        return False

    def read() -> str:
        nonlocal calls
        calls += 1
        if errors:
            raise errors.pop(0)
        return "page"

    try:
        result = reads(rest, attempts=4, first=1.0)(read)
    except Exception as error:  # noqa: BLE001 - its name is the result
        return calls, slept, type(error).__name__
    return calls, slept, result


def test_reads_are_tried_again_with_growing_pauses() -> None:
    calls, slept, result = attempt([Unavailable("500")] * 3)
    assert (calls, result) == (4, "page")
    assert len(slept) == 3
    assert 1 <= slept[0] <= 2
    assert 4 <= slept[2] <= 5


def test_reads_are_bounded() -> None:
    assert attempt([Unavailable("500")] * 99)[::2] == (4, "Unavailable")


@pytest.mark.parametrize(
    "error", [RateLimited("429"), OutcomeUnknown("cut"), AuthError("no"), ValueError("bug")]
)
def test_nothing_else_is_tried_again(error: Exception) -> None:
    assert attempt([error]) == (1, [], type(error).__name__)
