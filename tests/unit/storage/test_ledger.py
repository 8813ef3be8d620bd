"""One contract for both ledgers: in memory, and in the database on each backend."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.core.errors import ActionBlocked, AuthError, ChallengeRequired, RateLimited, StorageError
from bot.core.events import Breaker
from bot.platforms.pacing import Ledger, LedgerPacer, Patience, TokenRate
from storage.database import Database
from storage.pacing import DatabaseLedger
from tests.databases import BACKENDS, NOW, in_memory, migrated, together
from tests.ledger import MemoryLedger


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["memory", *BACKENDS])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    with migrated(request.param, request, tmp_path) as url:
        database = Database(url)
        yield DatabaseLedger(database)
        database.close()


def take(ledger: Ledger, seconds: float, action: str = "read", account: str = "main") -> float:
    return ledger.take(account, action, now=after(seconds), rate=0.5, burst=3)


def test_a_new_bucket_is_full_and_fills_again(ledger: Ledger) -> None:
    assert [take(ledger, 0) for _ in range(4)] == [0, 0, 0, 2]
    assert take(ledger, 0.5) == pytest.approx(1.5)  # a refusal takes nothing
    assert take(ledger, 2) == 0
    assert take(ledger, 2) == pytest.approx(2)


def test_a_bucket_holds_no_more_than_its_burst(ledger: Ledger) -> None:
    take(ledger, 0)
    assert [take(ledger, 86_400) for _ in range(4)] == [0, 0, 0, 2]


def test_a_smaller_burst_counts_at_once(ledger: Ledger) -> None:
    take(ledger, 0)
    results = [ledger.take("main", "read", now=NOW, rate=0.5, burst=1) for _ in range(2)]
    assert results == [0, 2]


def test_buckets_are_apart_by_account_and_action(ledger: Ledger) -> None:
    assert [take(ledger, 0) for _ in range(4)][-1] > 0
    assert take(ledger, 0, "dm") == 0
    assert take(ledger, 0, account="other") == 0


def test_a_clock_that_went_backwards_adds_no_tokens(ledger: Ledger) -> None:
    take(ledger, 0)
    assert [take(ledger, -3600) for _ in range(3)] == [0, 0, 2]


def test_many_threads_take_no_more_than_there_is(ledger: Ledger) -> None:
    def run() -> int:
        return sum(
            ledger.take("main", "read", now=NOW, rate=1e-9, burst=20) == 0 for _ in range(10)
        )

    assert sum(together(*[run] * 4)) == 20


def test_a_breaker_that_never_tripped(ledger: Ledger) -> None:
    assert ledger.state("main", "read") == Breaker()
    assert ledger.breakers("main") == {}
    ledger.close("main", "read")
    assert ledger.breakers("main") == {}


def test_a_pause_gets_no_shorter_and_a_count_no_smaller(ledger: Ledger) -> None:
    ledger.trip("main", "read", Breaker(after(60), 2, reason="first"))
    ledger.trip("main", "read", Breaker(after(30), 1, reason="second"))
    assert ledger.state("main", "read") == Breaker(after(60), 2, reason="second")
    ledger.trip("main", "read", Breaker(after(90), 3, reason="third"))
    assert ledger.state("main", "read") == Breaker(after(90), 3, reason="third")


def test_a_latch_stays_and_says_why(ledger: Ledger) -> None:
    ledger.trip("main", "*", Breaker(None, 1, latched=True, reason="challenge"))
    ledger.trip("main", "*", Breaker(after(5), 2, reason="429"))
    assert ledger.state("main", "*") == Breaker(after(5), 2, latched=True, reason="challenge")
    ledger.trip("main", "*", Breaker(None, 0, latched=True, reason="suspended"))
    assert ledger.state("main", "*").reason == "suspended"
    ledger.close("main", "*")
    assert ledger.state("main", "*") == Breaker()


def test_breakers_of_an_account(ledger: Ledger) -> None:
    ledger.trip("main", "read", Breaker(after(60), 1))
    ledger.trip("main", "*", Breaker(latched=True))
    ledger.trip("other", "read", Breaker(after(1), 9))
    assert ledger.breakers("main") == {
        "read": Breaker(after(60), 1),
        "*": Breaker(latched=True),
    }


def test_trips_from_many_threads_all_count(ledger: Ledger) -> None:
    def trip(n: int) -> None:
        ledger.trip("main", "read", Breaker(after(n), n, latched=n == 5, reason=str(n)))

    together(*[lambda n=n: trip(n) for n in range(1, 9)])
    state = ledger.state("main", "read")
    assert (state.open_until, state.failures, state.latched) == (after(8), 8, True)
    assert state.reason == "5"


def test_the_gate_works_on_it(ledger: Ledger) -> None:
    now = NOW
    slept: list[float] = []

    def sleep(seconds: float) -> bool:
        nonlocal now
        slept.append(seconds)
        now += timedelta(seconds=seconds + 1e-3)
        return False

    def pacer() -> LedgerPacer:
        rates = {"read": TokenRate(per_hour=3600, burst=1), "dm": None}
        return LedgerPacer(
            "main",
            ledger,
            rates,
            patience=Patience(sleep=sleep),
            clock=lambda: now,
            rng=random.Random(1),
        )

    pacer().before("read")
    pacer().before("read")
    assert slept == [pytest.approx(1.0)]
    pacer().after("dm", ActionBlocked("feedback_required"))
    with pytest.raises(RateLimited, match="feedback_required"):
        pacer().before("dm")
    pacer().before("read")
    pacer().after("read", ChallengeRequired("look at the app"))
    with pytest.raises(AuthError, match="look at the app"):
        pacer().before("read")
    pacer().resume()
    pacer().before("read")
    with pytest.raises(RateLimited, match="feedback_required"):
        pacer().before("dm")
    pacer().resume(force=True)
    pacer().before("dm")


def test_it_outlives_the_process(database: Database, database_url: str) -> None:
    ledger = DatabaseLedger(database)
    assert [take(ledger, 0) for _ in range(4)][-1] > 0
    ledger.trip("main", "*", Breaker(after(60.000001), 3, True, "challenge\x00 \ud83d"))
    again = Database(database_url)
    assert take(DatabaseLedger(again), 1) > 0
    state = DatabaseLedger(again).state("main", "*")
    again.close()
    assert state == Breaker(after(60.000001), 3, True, "challenge ?")
    assert state.open_until is not None
    assert state.open_until.tzinfo is UTC


def test_a_bucket_from_the_future_does_not_stop_the_account_for_years(database: Database) -> None:
    """A machine that booted with a wrong clock, corrected later."""
    ledger = DatabaseLedger(database)
    assert [take(ledger, 1e9) for _ in range(3)] == [0, 0, 0]
    assert take(ledger, 0) == pytest.approx(2)
    assert take(ledger, 2) == 0


def test_a_database_that_is_gone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'tagecho.db'}")  # never migrated
    with pytest.raises(StorageError):
        take(DatabaseLedger(database), 0)
    with pytest.raises(StorageError):
        DatabaseLedger(database).state("main", "read")
    database.close()


ACTIONS = st.sampled_from(["read", "dm", "*"])
BREAKERS = st.builds(
    Breaker,
    open_until=st.none() | st.integers(-100, 100).map(after),
    failures=st.integers(0, 5),
    latched=st.booleans(),
    reason=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5),
)


class SameAsInMemory(RuleBasedStateMachine):
    """Whatever is done to both, both say the same."""

    @initialize()
    def start(self) -> None:
        self.database = in_memory()
        self.kept: Ledger = DatabaseLedger(self.database)
        self.memory: Ledger = MemoryLedger()
        self.now = NOW

    @rule(action=ACTIONS, rate=st.sampled_from([0.01, 1 / 3, 7.0]), burst=st.integers(1, 4))
    def take(self, action: str, rate: float, burst: int) -> None:
        one, other = (
            ledger.take("main", action, now=self.now, rate=rate, burst=burst)
            for ledger in (self.kept, self.memory)
        )
        assert one == other

    @rule(action=ACTIONS, breaker=BREAKERS)
    def trip(self, action: str, breaker: Breaker) -> None:
        self.kept.trip("main", action, breaker)
        self.memory.trip("main", action, breaker)

    @rule(action=ACTIONS)
    def close(self, action: str) -> None:
        self.kept.close("main", action)
        self.memory.close("main", action)

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def breakers_agree(self) -> None:
        assert self.kept.breakers("main") == self.memory.breakers("main")

    def teardown(self) -> None:
        self.database.close()


TestSameAsInMemory = SameAsInMemory.TestCase
TestSameAsInMemory.settings = settings(max_examples=30, stateful_step_count=30)
