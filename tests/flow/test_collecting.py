"""Collecting beside the service: it is asked, works in turns, fails, ends, and loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import AccountLocked, LoginRequired, NetworkError, UsageError
from bot.core.events import TrackKind
from bot.flow.ingest import Ingest
from bot.flow.reply_rule import Us
from bot.platforms.memory.network import Fault, Network, network_of
from bot.service import collecting
from bot.service.account_worker import AccountWorker
from bot.service.app import App, limits_of, policy_of
from bot.service.collecting import Requested, Target
from bot.service.presence import present
from bot.service.rules import Rules
from bot.verbs import collect as verb
from bot.verbs.collect import Collected, Wish, collect
from storage import account_logins, collect_requests
from storage.tables import CollectRequest, PostRow
from tests.waiting import PATIENCE, eventually

_SERVERS = count()
POSTS = 60


class Beside:
    """A service in threads of the test's process, and a person who asks it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server = f"collecting{next(_SERVERS)}.example"
        self.network: Network = network_of(server)
        account = {"platform": "memory", "username": "bot", "server": server}
        said = {"data": {"dir": folder}, "accounts": {"main": account}}
        self.settings = Settings.model_validate(said)
        self.app = App(self.settings)
        self.held = ExitStack()
        self.platform = self.app.platform("main")
        self.us = Us(self.platform.login())
        limits = limits_of(self.settings)
        self.ingest = Ingest(self.app.archive, limits, later=True)
        self.requested = Requested(self.app, "main", self.ingest)
        self.told: list[str] = []
        monkeypatch.setattr(verb, "LOOK_EVERY", 0.01)
        for number in range(POSTS):
            self.network.publish("ana", f"#dawn number {number}")

    def begin(self) -> None:
        self.held.enter_context(self.app.lock("main"))
        self.held.enter_context(present(self.settings.data.dir, utc_now()))
        with self.app.database.write() as session:
            account_logins.begin(session, "main", utc_now())
            collect_requests.recover(session, "main")

    def asks(self, name: str = "dawn", wish: Wish = Wish(), **options: Any) -> Collected:  # noqa: B008
        target = Target("main", TrackKind.HASHTAG, name)
        return collect(self.settings, target, wish, tell=self.told.append, **options)

    def ask(self, *arguments: Any, **options: Any) -> threading.Thread:
        """The same in a thread of its own; what comes of it is appended to `told`."""

        def run() -> None:
            try:
                self.told.append(str(self.asks(*arguments, **options).as_dict()))
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.told.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def requests(self) -> list[CollectRequest]:
        with self.app.database.read() as session:
            return list(session.exec(select(CollectRequest)))

    def posts(self) -> int:
        with self.app.database.read() as session:
            return len(session.exec(select(PostRow.id)).all())

    def turn(self) -> bool:
        """One turn of the account's thread at what was asked for."""
        try:
            return self.requested.next(self.platform, policy_of(self.settings), self.us)
        except LoginRequired:
            return True  # the worker logs in again

    def works(self, asking: threading.Thread) -> None:
        """The account's thread works until whoever asks has the answer."""
        eventually("asked", self.requests)
        while asking.is_alive():
            self.turn()
        asking.join(PATIENCE)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    made = Beside(tmp_path / "data", monkeypatch)
    yield made
    made.held.close()
    made.ingest.close()
    made.app.close()


def test_the_service_does_it_between_its_other_work(beside: Beside) -> None:
    beside.begin()
    stop = threading.Event()
    worker = AccountWorker(beside.app, "main", Rules(beside.app), stop)
    worker.start()
    beside.ask().join(PATIENCE)
    stop.set()
    worker.wake.set()
    worker.join(PATIENCE)
    (request,) = beside.requests()
    assert (request.state, request.complete) == ("done", True)
    assert request.asked_by
    assert request.summary["listed"] == beside.posts() == POSTS
    assert f"'new': {POSTS}" in beside.told[-1] and "'complete': True" in beside.told[-1]


def test_a_turn_is_short(beside: Beside) -> None:
    """Whatever is due comes between two of them."""
    beside.begin()
    beside.asks(wait=False)
    seen = []
    while beside.requests()[0].state != "done":
        before = beside.posts()
        beside.turn()
        seen.append(beside.posts() - before)
    assert max(seen) <= 2 * 20, "no more than the pages that a turn's posts are on"
    assert len([n for n in seen if n]) >= 3


def test_wishes_travel(beside: Beside) -> None:
    beside.begin()
    wish = Wish(limit=7, where='"number 5" in caption', comments=2)
    asking = beside.ask("dawn", wish)
    beside.works(asking)
    (request,) = beside.requests()
    assert (request.most, request.filter, request.comments) == (7, wish.where, 2)
    assert beside.posts() == 7
    with pytest.raises(UsageError, match="filter"):
        beside.asks("dawn", Wish(where="likes >"))
    assert len(beside.requests()) == 1, "nothing is asked for that cannot be read"


def test_the_service_is_asked_without_secrets(beside: Beside) -> None:
    """Only who collects in its own process reads them."""
    read: list[str] = []

    def with_secrets() -> Settings:
        read.append("secrets")
        return beside.settings

    beside.begin()
    beside.asks(wait=False, with_secrets=with_secrets)
    assert read == []
    beside.held.close()
    beside.asks(with_secrets=with_secrets)
    assert read == ["secrets"]


def test_nobody_waits_who_does_not_want_to(beside: Beside) -> None:
    beside.begin()
    asked = beside.asks(wait=False)
    assert asked.request == beside.requests()[0].id
    assert beside.posts() == 0


def test_another_process_than_the_service_is_no_service(beside: Beside) -> None:
    with beside.app.lock("main"), pytest.raises(AccountLocked):
        beside.asks()
    assert beside.requests() == []


def test_a_service_that_ends_leaves_it_to_whoever_asked(beside: Beside) -> None:
    beside.begin()
    asking = beside.ask()
    eventually("asked", beside.requests)
    beside.turn()
    assert 0 < beside.posts() < POSTS
    beside.held.close()  # as the kernel does when the process is killed
    asking.join(PATIENCE)
    assert beside.told[0] == "the service ended: this process goes on"
    assert beside.posts() == POSTS
    assert beside.requests()[0].state == "cancelled"
    beside.requested = Requested(beside.app, "main", beside.ingest)
    beside.begin()
    assert not beside.turn(), "the service that comes back leaves it alone"


def test_a_new_service_goes_on_with_it(beside: Beside) -> None:
    beside.begin()
    beside.asks(wait=False)
    beside.turn()
    first = beside.requests()[0]
    assert first.state == "running"
    beside.held.close()
    beside.requested = Requested(beside.app, "main", beside.ingest)
    beside.begin()
    while beside.requests()[0].state != "done":
        beside.turn()
    assert beside.posts() == POSTS
    assert beside.requests()[0].summary["new"] == POSTS, "of both turns"


@pytest.mark.parametrize(
    ("fault", "times", "said"),
    [
        (Fault.GONE, 1, "UsageError: memory: gone"),
        (Fault.UNAVAILABLE, 3, "NetworkError: memory: unavailable"),
    ],
)
def test_what_it_fails_for_is_told(
    beside: Beside, monkeypatch: pytest.MonkeyPatch, fault: Fault, times: int, said: str
) -> None:
    monkeypatch.setattr(collecting, "PAUSE", timedelta())
    beside.begin()
    beside.network.fail("read", fault, times)
    beside.works(beside.ask())
    assert beside.told[-1] == said
    assert beside.requests()[0].state == "failed"
    assert beside.requests()[0].exit_code == (2 if fault is Fault.GONE else NetworkError.exit_code)


def test_what_passes_is_waited_for(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "PAUSE", timedelta())
    beside.begin()
    beside.network.fail("read", Fault.UNAVAILABLE)
    beside.network.fail("read", Fault.ENDED)
    beside.works(beside.ask())
    assert beside.requests()[0].state == "done"
    assert beside.posts() == POSTS


def test_a_limit_says_until_when_it_waits(beside: Beside) -> None:
    beside.begin()
    beside.asks(wait=False)
    beside.network.fail("read", Fault.THROTTLED)
    beside.turn()
    beside.turn()
    (request,) = beside.requests()
    assert request.state == "waiting"
    assert request.error == "RateLimited: memory: throttled"
    assert timedelta(seconds=20) < request.not_before - utc_now() <= timedelta(seconds=30)


def test_ctrl_c_takes_it_back(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    beside.begin()

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        beside.asks()
    assert beside.requests()[0].state == "cancelled"
    beside.turn()
    assert beside.posts() == 0
