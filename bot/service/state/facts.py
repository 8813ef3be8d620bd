"""The values that are told of the service. All are frozen; all times are aware and UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from bot.core.errors import AuthError, NetworkError
from storage.tables import ReplyState


class AccountHealth(StrEnum):
    LOGGED_IN = "logged_in"  # the service runs and has a session
    LOGGING_IN = "logging_in"  # the service runs, and no login has worked yet
    LOGIN_FAILED = "login_failed"  # the latest login failed; it is tried again at `next_try`
    WAITS_FOR_PERSON = "waits_for_person"  # nothing is sent until somebody acts; `do` says how
    NOT_RUNNING = "not_running"  # the service does not run


class TrackHealth(StrEnum):
    OK = "ok"  # the latest poll worked, and the next one is not late
    QUIET = "quiet"  # as ok, but polls have brought nothing new for a day
    FAILING = "failing"  # the latest poll failed; the next one tries again
    PAUSED = "paused"  # by the operator, in the configuration file
    NOT_POLLED = "not_polled"  # never, or not when it should have been; `why` says why


FINE = frozenset({TrackHealth.OK, TrackHealth.QUIET, TrackHealth.PAUSED})


def label(kind: str, name: str) -> str:
    """As people write a hashtag or a profile; "" for what is neither."""
    sign = {"hashtag": "#", "profile": "@"}.get(kind)
    return f"{sign}{name}" if sign else ""


@dataclass(frozen=True, slots=True)
class Service:
    """Whether `tagecho run` runs on this data folder."""

    running: bool
    pid: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """The replies of an account on the operator's day."""

    per_day: int
    sent: int  # left, or may have left
    resets_at: datetime
    quiet_until: datetime | None  # the end of the quiet hours that hold now

    @property
    def left(self) -> int:
        return max(0, self.per_day - self.sent)


@dataclass(frozen=True, slots=True)
class LimitLeft:
    """A class of actions of an account: what may be done at once, and when more."""

    action: str
    rate: str  # as in the settings: "6/h"; "off" for no limit
    left: int | None  # at once; None: no limit
    most: int | None  # that may ever be left at once
    next_at: datetime | None  # when one more may be done; None: now, or no limit
    paused_until: datetime | None  # as the platform asked
    why: str  # of the pause


@dataclass(frozen=True, slots=True)
class AccountStatus:
    name: str
    platform: str
    username: str
    health: AccountHealth
    since: datetime | None  # when it came into this health
    kind: str  # of the error: the name of its class; "" for none
    why: str  # it is not logged in
    do: str  # what a person should do; "" for nothing
    next_try: datetime | None  # of the login
    paused: bool  # by the operator: nothing is published
    caps: Caps
    limits: tuple[LimitLeft, ...]

    @property
    def fine(self) -> bool:
        return self.health is AccountHealth.LOGGED_IN

    @property
    def exit_code(self) -> int:
        """Of a verb that ends because of it."""
        person = self.health is AccountHealth.WAITS_FOR_PERSON
        return AuthError.exit_code if person else NetworkError.exit_code


@dataclass(frozen=True, slots=True)
class Missing:
    """Posts that a poll did not come to."""

    since: datetime | None
    until: datetime | None
    found: int
    given_up: bool
    error: str


@dataclass(frozen=True, slots=True)
class TrackStatus:
    key: str
    account: str
    kind: str
    name: str
    every: timedelta
    dataset: str
    reply: str | None
    health: TrackHealth
    since: datetime | None  # of `failing`: the first failure; of `not_polled`: the last poll
    why: str
    do: str
    last_poll: datetime | None  # that worked
    next_poll: datetime | None  # None: nobody will
    last_new: datetime | None
    found: int
    last_gap: datetime | None
    missing: tuple[Missing, ...]
    late: bool = False  # a poll should have come by now
    passing: bool = True  # the kind of its error often passes by itself

    @property
    def fine(self) -> bool:
        return self.health in FINE

    @property
    def broken(self) -> bool:
        """It is not fine for a reason of its own, not only because nothing is polled now."""
        return self.health is TrackHealth.FAILING or self.late or bool(self.do)

    @property
    def label(self) -> str:
        """As people write it: `#sunset`, `@some.name`, `mentions of main`."""
        return label(self.kind, self.name) or f"mentions of {self.account}"


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """What the service was asked to collect: open, or failed within a day."""

    number: int
    account: str
    label: str  # as people write it: `#sunset`, `@some.name`
    state: str  # waiting | running | failed
    asked: datetime
    asked_by: str
    listed: int  # posts so far
    new: int
    most: int | None  # posts of it to have in all; None: as many as there are
    next_turn: datetime | None  # it waits until then
    why: str  # it waits, or failed


@dataclass(frozen=True, slots=True)
class Waiting:
    """The replies in one state. The rest is None or empty unless some wait there."""

    state: ReplyState
    count: int
    oldest: int | None = None  # its number
    oldest_created: datetime | None = None
    newest: int | None = None  # its number
    why: str = ""  # the oldest is still there
    do: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    states: tuple[Waiting, ...]  # every state, in the order of a reply's way

    @property
    def total(self) -> int:
        return sum(one.count for one in self.states)

    def count(self, state: ReplyState) -> int:
        return next(one.count for one in self.states if one.state is state)


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of the data folder, in bytes."""

    folder: Path
    free: int | None  # None: it cannot be told; `error` says why
    least: int
    error: str = ""

    @property
    def fine(self) -> bool:
        return self.free is not None and self.free >= self.least


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work, in words, and what to do about it."""

    kind: str  # service | account | track | disk | database | reply | deletion
    topic: str  # what it is about: "account main", "#sunset"
    text: str
    do: str
    since: datetime | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Everything at one moment."""

    at: datetime
    service: Service
    accounts: tuple[AccountStatus, ...]
    tracks: tuple[TrackStatus, ...]
    queue: Queue | None  # None: the database cannot be read
    deletions: Mapping[str, int]  # of our replies on the network, by state
    disk: Disk
    collections: tuple[CollectionStatus, ...] = ()  # in the order in which they were asked for
    troubles: tuple[Trouble, ...] = ()  # newest first; those without a time before them
    database_error: str = ""

    @property
    def fine(self) -> bool:
        """Everything works. A service that does not run makes nothing fine."""
        return self.service.running and not self.troubles

    @property
    def last_error(self) -> Trouble | None:
        return self.troubles[0] if self.troubles else None
