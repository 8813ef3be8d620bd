"""The whole flow on a platform that is nothing like the first one: a stream, one write, a key."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlmodel import select

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import LoginRequired
from bot.core.events import TrackKind
from bot.flow.fetch import Limits
from bot.flow.forget import forget
from bot.flow.ingest import Ingest
from bot.flow.listen import Listener
from bot.flow.policy import Policy, Track
from bot.flow.poll import Poller
from bot.flow.publisher import Publisher
from bot.flow.reconcile import Reconciler
from bot.flow.render import Renderer, claim
from bot.flow.reply_rule import Us, Watch
from bot.flow.retract import Retractor
from bot.flow.sending import Channel
from bot.learn.photos import Runs
from bot.platforms import registry
from bot.platforms.memory.adapter import MemoryPlatform
from bot.platforms.memory.network import Fault, JournalEntry, Network, network_of
from bot.platforms.memory.reply_modes import CANVAS
from bot.platforms.memory.text_limits import TEXT
from bot.platforms.pacing import LedgerPacer
from bot.service.account_worker import AccountWorker
from bot.service.app import App
from bot.service.rules import Rules
from storage import cursors, outbox, retractions
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts
from storage.pacing import DatabaseLedger
from storage.tables import PostRow, Reply, ReplyState, TrackState
from tests.databases import sqlite_in
from tests.flow.kit import Clock, SmallStages
from tests.pictures import plain_jpeg

S = ReplyState
CAPTION = "For @{author}, made by a machine from {url}"


class OnMemory:
    """One account in memory, with everything that handles a post."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.network = Network("home.example", self.clock, per_page=5)
        self.database = Database(sqlite_in(folder))
        self.originals, self.artifacts = BlobStore(folder / "o"), BlobStore(folder / "a")
        self.runs, self.optouts = Runs(folder / "models"), OptOuts(folder / "optout.key")
        with self.database.write() as session:
            self.optouts.open(session, self.clock())
        self.archive = Archive(self.database, self.originals, self.optouts)
        limits = dict.fromkeys(("read", "media", "login", "write", "delete"))
        ledger = DatabaseLedger(self.database)
        self.pacer = LedgerPacer("main", ledger, limits, clock=self.clock)
        self.platform = MemoryPlatform("main", "bot", self.network, self.pacer)
        self.us = Us(self.platform.login())
        track = Track(
            "main:hashtag:sunset", "main", TrackKind.HASHTAG, "sunset", timedelta(hours=1)
        )
        policy = Policy(approval=False, caption=CAPTION, opt_in_hashtags=frozenset({"tintme"}))
        self.watch = Watch(track, policy, self.us)
        self.ingest = Ingest(self.archive, Limits(), self.clock)
        self.listener = Listener(self.database, self.ingest, self.clock)
        self.channel = Channel(
            self.database, self.artifacts, self.optouts, self.platform, self.clock
        )

    def asks(self, name: str = "ana") -> JournalEntry:
        return self.network.publish(name, "#sunset #tintme", (plain_jpeg((400, 300)),))

    def poll(self) -> None:
        Poller(self.database, self.ingest, self.clock).poll(self.platform, self.watch)

    def listen(self) -> bool:
        return self.listener.next(self.platform, [self.watch])

    def answer(self) -> None:
        """What is queued is rendered; what is rendered leaves."""
        renderer = Renderer(
            self.database,
            self.originals,
            self.artifacts,
            SmallStages(),
            registry.ways,
            self.clock,
        )
        while (reply := claim(self.database, "main", self.watch.policy, self.clock())) is not None:
            columns = renderer.render(reply, self.watch.policy)
            assert columns is not None
            with self.database.write() as session:
                outbox.move(
                    session,
                    reply.id or 0,
                    S.RENDERING,
                    S.APPROVED,
                    who="render",
                    now=self.clock(),
                    **columns,
                )
        self.publish()

    def publish(self) -> None:
        tracks = {self.watch.track.key: self.watch.track}
        while Publisher(self.channel, self.us, lambda: self.watch.policy).next(tracks):
            pass

    def settle(self, minutes: int = 10) -> None:
        for _ in range(minutes):
            self.clock.advance(minutes=1)
            while Reconciler(self.database, self.platform, self.clock).next(self.watch.policy):
                pass
            self.publish()
            while Retractor(self.database, self.platform, self.clock).next():
                pass

    def state(self) -> list[str]:
        with self.database.read() as session:
            return [reply.state for reply in outbox.listing(session)]

    def reply(self) -> Reply:
        with self.database.read() as session:
            (reply,) = outbox.listing(session)
        return reply

    def close(self) -> None:
        self.ingest.close()
        self.database.close()


@pytest.fixture
def on(tmp_path: Path) -> Iterator[OnMemory]:
    made = OnMemory(tmp_path)
    yield made
    made.close()


def test_a_post_is_polled_and_answered_once(on: OnMemory) -> None:
    post = on.asks()
    on.poll()
    on.answer()
    on.settle()
    on.poll()
    on.answer()
    (answer,) = on.network.replies(post.entry_id)
    assert on.state() == [S.SENT]
    assert (on.reply().mode, on.reply().url) == (
        "reply",
        f"https://home.example/@bot/{key(answer)}",
    )
    assert answer.text == (
        f"For @ana@home.example, made by a machine from https://home.example/@ana/{key(post)}"
    )
    assert answer.alt_text == "echo for ana@home.example"
    with Image.open(io.BytesIO(answer.images[0])) as image:
        assert (image.format, image.width) == ("PNG", CANVAS.width)


def test_a_stream_brings_posts_between_polls_and_resumes(on: OnMemory) -> None:
    assert not on.listen()  # from now on
    first = on.asks()
    on.network.publish("ben", "#other", (plain_jpeg((64, 64)),))
    assert on.listen()
    assert not on.listen()
    second = on.asks("cara")
    on.listener = Listener(on.database, on.ingest, on.clock)  # as after a restart
    assert on.listen()
    on.answer()
    assert len(on.network.replies(first.entry_id)) == 1
    assert len(on.network.replies(second.entry_id)) == 1
    assert on.state() == [S.SENT, S.SENT]


def test_a_cursor_that_the_network_does_not_know_begins_anew(on: OnMemory) -> None:
    with on.database.write() as session:
        cursors.put(session, "main", "99999", on.clock())
    assert not on.listen()
    post = on.asks()
    assert on.listen()
    on.answer()
    assert len(on.network.replies(post.entry_id)) == 1


def test_a_stream_that_begins_asks_for_polls_at_once_and_once_more(on: OnMemory) -> None:
    """It cannot tell what was posted before it, nor does a network list that at once."""
    assert not on.listener.wants_polls()
    on.listen()
    assert on.listener.wants_polls() and not on.listener.wants_polls()
    on.clock.advance(seconds=31)
    on.listen()
    assert on.listener.wants_polls() and not on.listener.wants_polls()
    on.listener = Listener(on.database, on.ingest, on.clock)  # as after a restart
    on.listen()
    assert not on.listener.wants_polls(), "it goes on where it was"
    with on.database.write() as session:
        cursors.put(session, "main", "99999", on.clock())
    on.listen()
    assert on.listener.wants_polls(), "what came since that cursor is not streamed"


def test_what_came_between_the_first_poll_and_the_stream_is_not_lost(tmp_path: Path) -> None:
    server = "late.example"
    app = App(on_server(server, tmp_path))
    worker = AccountWorker(app, "main", Rules(app), threading.Event())
    network, track = network_of(server), "main:hashtag:sunset"
    try:
        network.fail("read", Fault.UNAVAILABLE)  # of the stream
        worker.due(track)
        while worker.work():
            pass
        assert polls(app, track) == 1
        network.publish("ana", "#sunset", (plain_jpeg((64, 64)),))
        worker._listener._not_before = utc_now()  # its rest is over
        while worker.work():
            pass
        assert polls(app, track) == 2
        with app.database.read() as session:
            assert len(session.exec(select(PostRow)).all()) == 1
    finally:
        worker.clean_up()
        app.close()


def test_a_stream_that_fails_rests_for_a_while(on: OnMemory) -> None:
    on.listen()
    on.asks()
    on.network.fail("read", Fault.UNAVAILABLE)
    assert not on.listen()
    assert not on.listen()
    on.clock.advance(minutes=2)
    assert on.listen()


def test_a_stream_that_goes_on_failing_is_asked_ever_more_rarely(on: OnMemory) -> None:
    """As one that a server does not have: the polls find its posts."""
    on.listen()
    on.asks()
    on.network.fail("read", Fault.UNAVAILABLE, times=3)
    asked = on.network.requests.count("read")
    for minutes in (0, 1, 2):
        on.clock.advance(minutes=minutes, seconds=1)
        assert not on.listen()
        assert not on.listen(), "rests"
    assert on.network.requests.count("read") == asked + 3
    on.clock.advance(minutes=3)
    assert not on.listen(), "rests for four minutes now"
    on.clock.advance(minutes=2)
    assert on.listen()


@pytest.mark.parametrize("fault", [Fault.CHALLENGE, Fault.GONE, Fault.THROTTLED])
def test_a_stream_rests_whatever_the_network_says(on: OnMemory, fault: Fault) -> None:
    """Of a refused cursor, and of the fresh start after it, too."""
    on.listen()
    on.asks()
    on.network.fail("read", fault, times=2 if fault is Fault.GONE else 1)
    assert not on.listen()
    asked = on.network.requests.count("read")
    assert not on.listen()
    assert on.network.requests.count("read") == asked
    on.clock.advance(minutes=2)
    if fault is Fault.CHALLENGE:
        assert not on.listen(), "waits for a person"
        assert on.network.requests.count("read") == asked, "and asks nobody"
        on.pacer.resume()
        on.clock.advance(minutes=2)
    assert on.listen()


def test_a_stream_of_an_ended_session_asks_for_a_login(on: OnMemory) -> None:
    on.listen()
    on.asks()
    on.network.fail("read", Fault.ENDED)
    with pytest.raises(LoginRequired):
        on.listen()
    assert not on.listen(), "once, and not again at once"
    on.clock.advance(minutes=2)
    assert on.listen()


def test_a_stream_that_breaks_us_rests_as_well(
    on: OnMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.listen()
    on.asks()

    def broken(*_: object) -> None:
        raise ValueError("a fault of ours")

    with monkeypatch.context() as patch, pytest.raises(ValueError, match="of ours"):
        patch.setattr(on.ingest, "take", broken)
        on.listen()
    assert not on.listen(), "the polls have their turn"
    on.clock.advance(minutes=2)
    assert on.listen()


def on_server(server: str, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "data": {"dir": folder},
            "accounts": {"main": {"platform": "memory", "username": "bot", "server": server}},
            "tracks": [{"account": "main", "hashtag": "sunset", "every": "1h"}],
            "pacing": {"read": "off", "media": "off", "login": "off"},
        }
    )


def test_a_stream_that_never_ends_starves_no_poll(tmp_path: Path) -> None:
    """Each turn of the account takes one page of it and something else that is due."""
    server = "busy.example"
    app = App(on_server(server, tmp_path))
    worker = AccountWorker(app, "main", Rules(app), threading.Event())
    network, track = network_of(server), "main:hashtag:sunset"
    try:
        while worker.work():
            pass  # the polls of a stream that begins
        before = polls(app, track)
        worker.due(track)
        for number in range(3):
            network.publish("ana", f"#other {number}", (plain_jpeg((64, 64)),))
            assert worker.work(), "something was streamed"
        assert polls(app, track) == before + 1
    finally:
        worker.clean_up()
        app.close()


def polls(app: App, track: str) -> int:
    with app.database.read() as session:
        return session.get_one(TrackState, track).polls


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_a_lost_answer_is_looked_for_and_never_sent_twice(on: OnMemory, fault: Fault) -> None:
    post = on.asks()
    on.poll()
    on.network.fail("write", fault)
    on.answer()
    assert on.state() == [S.UNKNOWN]
    on.settle()
    assert on.state() == [S.SENT]
    assert len(on.network.replies(post.entry_id)) == 1
    assert on.network.requests.count("write") == (1 if fault is Fault.LOST_AFTER else 2)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.REFUSED, S.FAILED),
        (Fault.GONE, S.FAILED),
        (Fault.BLOCKED, S.FAILED),
        (Fault.THROTTLED, S.APPROVED),
        (Fault.CHALLENGE, S.APPROVED),
    ],
)
def test_what_a_refusal_means(on: OnMemory, fault: Fault, state: ReplyState) -> None:
    post = on.asks()
    on.poll()
    on.network.fail("write", fault)
    on.answer()
    assert on.state() == [state]
    assert on.network.replies(post.entry_id) == []


def test_a_text_that_is_too_long_keeps_the_link(on: OnMemory) -> None:
    on.watch = Watch(
        on.watch.track,
        Policy(
            approval=False, caption="long " * 60 + "{url}", opt_in_hashtags=frozenset({"tintme"})
        ),
        on.us,
    )
    post = on.asks()
    on.poll()
    on.answer()
    (answer,) = on.network.replies(post.entry_id)
    assert len(answer.text) <= TEXT.most
    assert answer.text.endswith(f"… https://home.example/@ana/{key(post)}")


@pytest.mark.parametrize("fault", [None, Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_who_is_forgotten_loses_our_reply(on: OnMemory, fault: Fault | None) -> None:
    post = on.asks()
    on.poll()
    on.answer()
    counts = forget(on, "memory", "ana@home.example")
    assert (counts["posts"], counts["deletions"], counts["published_replies_left"]) == (1, 1, 0)
    if fault is not None:
        on.network.fail("delete", fault)
    on.settle()
    assert on.network.replies(post.entry_id) == []
    with on.database.read() as session:
        assert [row.state for row in retractions.listing(session)] == ["done"]
    on.poll()
    on.answer()
    assert on.network.replies(post.entry_id) == []


def key(entry: JournalEntry) -> str:
    return entry.entry_id.rpartition("/")[2]
