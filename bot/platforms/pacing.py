"""Pacing: token buckets, circuit breakers, and the retry policy of reads.

Both are kept in a `Ledger`, per (account, action class), so that a restart forgets nothing.
Action classes are read, media, login, delete and the platform's own; `ACCOUNT` stands for all
of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bot.core.errors import (
    ActionBlocked,
    AuthError,
    LoginRequired,
    PleaseWait,
    RateLimited,
)
from bot.core.events import Breaker

ACCOUNT = "*"  # the breaker that stops every action of an account
DAY = 86400.0
LOOK = 0.5  # seconds between two looks at what may be done while a read waits


@dataclass(frozen=True, slots=True)
class TokenRate:
    """How fast an action may go: on average `per_hour`, at most `burst` at once."""

    per_hour: float
    burst: int

    @classmethod
    def of(cls, count: int, per: timedelta) -> TokenRate:
        """`count` >= 1 in every `per` on average. At once may come what ten minutes bring, but at
        least one and at most `count`: 50 of 300 an hour, one of 20 a day."""
        per_hour = count * timedelta(hours=1) / per
        return cls(per_hour, burst=max(1, min(count, round(per_hour / 6))))


class Ledger(Protocol):
    """Where buckets and breakers live. Every method is atomic and may be called from any thread.

    Times are aware datetimes. Raises StorageError.
    """

    def take(self, account: str, action: str, *, now: datetime, rate: float, burst: int) -> float:
        """Take one token of a bucket that gains `rate` tokens a second and holds `burst` at most.

        Returns 0.0 when a token was taken, else the seconds until there is one, and takes nothing.
        An unknown bucket is full. A clock that went backwards adds no tokens.
        """

    def state(self, account: str, action: str) -> Breaker:
        """The breaker, or `Breaker()` when there is none."""

    def trip(
        self, account: str, action: str, breaker: Breaker, *, at: datetime | None = None
    ) -> None:
        """Store `merged(what was there, breaker)`: a pause gets no shorter, a latch stays.

        `at`: when it came to it, for the figures; None if nothing new happened.
        """

    def close(self, account: str, action: str) -> None:
        """Forget the breaker and its failures, latched or not."""

    def breakers(self, account: str) -> Mapping[str, Breaker]:
        """All breakers of an account that have a history, by action."""


def merged(old: Breaker, new: Breaker) -> Breaker:
    """Both at once: the longer pause, the larger count, latched when either is."""
    pauses = [until for until in (old.open_until, new.open_until) if until is not None]
    return Breaker(
        open_until=max(pauses, default=None),
        failures=max(old.failures, new.failures),
        latched=old.latched or new.latched,
        reason=old.reason if old.latched and not new.latched else new.reason,
    )


def refill(tokens: float, elapsed: float, rate: float, burst: int) -> float:
    """Tokens of a bucket after `elapsed` seconds."""
    return min(float(burst), tokens + max(0.0, elapsed) * rate)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with every failure in a row, in seconds, with jitter on top."""

    first: float
    longest: float
    at_least: float = 0.0  # whatever the platform asks for
    jitter: float = 0.25  # up to this share is added

    def __call__(self, failures: int, retry_after: float | None, rng: random.Random) -> float:
        """Seconds after `failures` >= 1 in a row: as asked (at most a day), else grown."""
        grown = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        pause = min(DAY, retry_after) if retry_after and retry_after > 0 else grown
        return max(self.at_least, pause) * (1.0 + self.jitter * rng.random())


THROTTLED = Backoff(first=60, longest=4 * 3600)
PLEASE_WAIT = Backoff(first=30 * 60, longest=12 * 3600, at_least=10 * 60)
BLOCKED = Backoff(first=DAY, longest=7 * DAY, at_least=DAY)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@dataclass(frozen=True, slots=True)
class Patience:
    """How a pacer waits.

    `before` waits at most `longest` seconds for a token (for one of "media", not at all). `sleep`
    returns True when it was interrupted, as `threading.Event.wait` does; then `before` gives up.
    `meanwhile` is called again and again while a read waits, for a token or for its next attempt,
    on the thread that waits: it may make requests of its own, and must not raise.
    """

    longest: float = 30.0
    sleep: Callable[[float], bool] = _sleep
    meanwhile: Callable[[], object] | None = None


class LedgerPacer:
    """The Pacer of one account (see `bot.platforms.base.Pacer`), on a ledger. Safe across threads.

    `rates` has an entry for every action that is asked for; None: not limited, but its breaker
    still counts.
    """

    def __init__(
        self,
        account: str,
        ledger: Ledger,
        rates: Mapping[str, TokenRate | None],
        *,
        patience: Patience = Patience(),
        clock: Callable[[], datetime] = _utc_now,
        rng: random.Random | None = None,
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._rates = dict(rates)
        self._longest = patience.longest
        self._clock = clock
        self._sleep = patience.sleep
        self._forgivable: set[str] = set()  # breakers with failures, seen before a request
        self._meanwhile = patience.meanwhile
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret

    def before(self, action: str) -> None:
        """Wait for a token. Raises RateLimited (open, too long a wait) or AuthError (latched)."""
        self._check(action)
        rate = self._rates[action]
        if rate is None:
            return
        # Images are many, and wait in the database: a thread that waited for them would do nothing
        # else for long.
        patience = 0.0 if action == "media" else self._longest
        waited = 0.0
        while (wait := self._take(action, rate)) > 0.0:
            if waited + wait > patience:
                raise RateLimited(f"{action}: our own limit is reached", retry_after=wait)
            if self.rest(wait) if action == "read" else self._sleep(wait):
                raise RateLimited(f"{action}: stopped while waiting for our own limit", wait)
            waited += wait

    def after(self, action: str, error: Exception | None) -> None:
        """Open breakers on what the platform said; success closes this action's breaker."""
        if error is None:
            self._succeeded(action)
        elif isinstance(error, ActionBlocked):
            self._trip(action, BLOCKED, error)
        elif isinstance(error, PleaseWait):
            self._trip(ACCOUNT, PLEASE_WAIT, error)
        elif isinstance(error, RateLimited):
            self._trip(action, THROTTLED, error)
        elif isinstance(error, AuthError) and _needs_person(action, error):
            self._hold(error)

    def rest(self, seconds: float) -> bool:
        """Wait until a read may be made, or made again. True when it was interrupted."""
        if self._meanwhile is None:
            return self._sleep(seconds)
        end = self._clock() + timedelta(seconds=seconds)
        while True:
            self._meanwhile()
            left = (end - self._clock()).total_seconds()
            if left <= 0:
                return False
            if self._sleep(min(left, LOOK)):
                return True

    def resume(self, *, force: bool = False) -> None:
        """A person looked at the account: close the breakers that waited for one.

        The pauses that the platform asked for go on, unless they are to be ended by `force`.
        """
        for action, breaker in self._ledger.breakers(self._account).items():
            if not (force or breaker.latched):
                continue
            self._ledger.close(self._account, action)
            if not force and self._seconds_left(breaker) > 0:
                self._ledger.trip(self._account, action, replace(breaker, latched=False))

    def _take(self, action: str, rate: TokenRate) -> float:
        return self._ledger.take(
            self._account,
            action,
            now=self._clock(),
            rate=rate.per_hour / 3600.0,
            burst=rate.burst,
        )

    def _check(self, action: str) -> None:
        known = self._ledger.breakers(self._account)
        for scope in (ACCOUNT, action):
            breaker = known.get(scope, Breaker())
            if breaker.latched:
                raise AuthError(f"account {self._account} waits for a person: {breaker.reason}")
            left = self._seconds_left(breaker)
            if left > 0:
                raise RateLimited(f"{action}: paused for {left:.0f} s: {breaker.reason}", left)
            if breaker.failures:
                self._forgivable.add(scope)

    def _seconds_left(self, breaker: Breaker) -> float:
        if breaker.open_until is None:
            return 0.0
        return (breaker.open_until - self._clock()).total_seconds()

    def _succeeded(self, action: str) -> None:
        for scope in self._forgivable.intersection((ACCOUNT, action)):
            self._forgivable.discard(scope)
            breaker = self._ledger.state(self._account, scope)
            # One that is open now was opened by another thread while this request was in flight.
            if breaker.failures and not breaker.latched and self._seconds_left(breaker) <= 0:
                self._ledger.close(self._account, scope)

    def _trip(self, action: str, backoff: Backoff, error: RateLimited) -> None:
        failures = self._ledger.state(self._account, action).failures + 1
        pause = timedelta(seconds=backoff(failures, error.retry_after, self._rng))
        now = self._clock()
        breaker = Breaker(now + pause, failures, reason=str(error))
        self._ledger.trip(self._account, action, breaker, at=now)

    def _hold(self, error: AuthError) -> None:
        failures = self._ledger.state(self._account, ACCOUNT).failures + 1
        reason = f"{type(error).__name__}: {error}"
        breaker = Breaker(None, failures, True, reason)
        self._ledger.trip(self._account, ACCOUNT, breaker, at=self._clock())


def _needs_person(action: str, error: AuthError) -> bool:
    """An ended session is worth one login; everything else, and a login that failed, is not."""
    return action == "login" or not isinstance(error, LoginRequired)
