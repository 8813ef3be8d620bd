"""`tagecho run` on a real Bluesky network: what it stores and answers, judged by the PDS.

`make e2e-bluesky` runs these alone, and installs what they need. Elsewhere they are skipped where
Node, Redis, PostgreSQL or those packages are missing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from atproto_client.exceptions import RequestErrorBase
from PIL import Image
from pydantic import SecretStr

from bot.core.errors import NetworkError, RecipientRefused, Refused, TargetGone, TargetPrivate
from bot.core.events import Post, Presence, Topic, TrackKind
from bot.platforms.bluesky.adapter import BlueskyPlatform
from bot.platforms.bluesky.settings import BlueskyAccount
from tests.bluesky.network import PASSWORD, Network, Person, network, why_not
from tests.contract.subjects import NotedPacer, written
from tests.e2e.kit import Running
from tests.waiting import eventually

pytestmark = pytest.mark.slow
KILLS = 20
BURST = 1000
WHEN = "2026-01-01T00:00:00Z"
UPLOAD, PUT = "com.atproto.repo.uploadBlob", "com.atproto.repo.putRecord"
HELD = ((UPLOAD, False), (UPLOAD, True), (PUT, False), (PUT, True))
BLOCKS, GATES = "app.bsky.graph.block", "app.bsky.feed.threadgate"
_NUMBERS = itertools.count(1)
CONFIG = """\
[data]
dir = "data"

[accounts.main]
platform = "bluesky"
username = "{username}"
server = "{server}"
directory = "{directory}"
events = "{events}"
mentions_every = "{every}"

[[tracks]]
account = "main"
hashtag = "{tag}"
every = "{every}"

[replies]
approval = {approval}
reconcile = ["1s", "1s"]
per_day = 1000
per_author_per_day = 1000

[health]
listen = ""
"""


@pytest.fixture(scope="module")
def sky() -> Iterator[Network]:
    if problem := why_not():
        if os.environ.get("TAGECHO_EXPECT_BLUESKY"):
            pytest.fail(problem, pytrace=False)
        pytest.skip(problem)
    with network() as booted:
        yield booted


def joined(sky: Network, name: str) -> Person:
    return sky.join(f"{name}{next(_NUMBERS)}")


@pytest.fixture
def bot(sky: Network) -> Person:
    return joined(sky, "echo")


@pytest.fixture
def ana(sky: Network) -> Person:
    return joined(sky, "ana")


@pytest.fixture
def tag() -> str:
    """One that no other test posts under."""
    return f"dawn{next(_NUMBERS)}"


Start = Callable[..., Running]


@pytest.fixture
def service(sky: Network, bot: Person, tag: str, tmp_path: Path) -> Iterator[Start]:
    with services(sky, bot, tag, tmp_path) as start:
        yield start


@contextmanager
def services(sky: Network, bot: Person, tag: str, folder: Path) -> Iterator[Start]:
    """Our account's service; `events` or polls every second, or both."""
    made: list[Running] = []

    def start(*, events: bool = True, polls: bool = False, approval: bool = False) -> Running:
        said = {
            "username": bot.handle,
            "tag": tag,
            "server": sky.pds,
            "directory": sky.plc,
            "events": "auto" if events else "off",
            "every": "1s" if polls or not events else "1h",
            "approval": str(approval).lower(),
        }
        secrets = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": PASSWORD}
        made.append(Running(folder, CONFIG.format(**said), secrets, by_command=True))
        made[-1].start()
        if events:
            heard = "SELECT value FROM controls WHERE key = 'stream:main'"
            eventually("it listens", lambda: made[-1].query(heard))
        return made[-1]

    try:
        yield start
    finally:
        for one in made:
            one.close()


def photo(number: int, size: tuple[int, int] = (240, 180)) -> bytes:
    """A picture of its own; a small one is a fast one."""
    noise = random.Random(number).randbytes(48 * 36 * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (48, 36), noise).resize(size).save(out, "JPEG", quality=85)
    return out.getvalue()


def stored(running: Running) -> dict[str, str]:
    """The SHA-256 of the image of each post by its id."""
    return dict(
        running.query(
            "SELECT post_id, sha256 FROM posts JOIN media ON media.post = posts.id "
            "WHERE sha256 <> ''"
        )
    )


def sent(running: Running, uri: str) -> bool:
    assert not running.dead(), "the service ended"
    return running.query("SELECT state FROM replies WHERE source_post = ?", uri) == [("sent",)]


def on_its_way(running: Running, uri: str) -> bool:
    assert not running.dead(), "the service ended"
    state = running.query("SELECT state FROM replies WHERE source_post = ?", uri)
    return state in ([("approved",)], [("sending",)], [("sent",)])


def sha256_of(cid: str) -> str:
    letters = cid.removeprefix("b").upper()
    return base64.b32decode(letters + "=" * (-len(letters) % 8))[4:].hex()


@pytest.mark.parametrize("events", [True, False], ids=["events", "polls"])
def test_posts_are_stored_and_who_asks_is_answered_once(
    service: Start, bot: Person, ana: Person, tag: str, events: bool
) -> None:
    running = service(events=events)
    images = {ana.post(f"#{tag} {n}", photo(n)): photo(n) for n in range(3)}
    asking = ana.post(f"nice #{tag},", photo(9), mention=bot)
    images[asking] = photo(9)
    eventually("the reply is sent", lambda: sent(running, asking))
    eventually("all images are stored", lambda: len(stored(running)) >= len(images))
    hashes = {uri: hashlib.sha256(data).hexdigest() for uri, data in images.items()}
    assert stored(running) == hashes, "the original bytes"
    (reply,) = bot.replies_to(asking)
    assert len(bot.records()) == 1
    (shown,) = reply["embed"]["images"]
    rendered = running.query("SELECT facts FROM replies")[0][0]
    assert sha256_of(shown["image"]["ref"]["$link"]) in json.loads(rendered)["after"].values()
    assert shown["alt"] and shown["image"]["size"] <= 1_000_000
    assert {one["features"][0]["$type"] for one in reply["facets"]} == {
        "app.bsky.richtext.facet#mention",
        "app.bsky.richtext.facet#link",
    }
    assert [one["val"] for one in reply["labels"]["values"]] == ["bot"]


def test_a_burst_is_stored_in_full(service: Start, ana: Person, tag: str) -> None:
    running = service()
    for start in range(0, BURST, 200):
        ana.burst([f"#{tag} {number}" for number in range(start, start + 200)])
    count = "SELECT count(*), count(DISTINCT post_id) FROM posts"
    eventually("all are stored", lambda: running.query(count) == [(BURST, BURST)])


def test_killed_at_random_moments_it_answers_everybody_once(
    sky: Network, service: Start, bot: Person, ana: Person, tag: str
) -> None:
    """Most are killed while a request of the reply is held, before the server carries it out or
    after; the others whenever it happens to be."""
    chance = random.Random(14)
    moments: list[tuple[str, bool] | None] = [*HELD * 4, *[None] * (KILLS - 4 * len(HELD))]
    chance.shuffle(moments)
    running, asked = service(), []
    for number, moment in enumerate(moments):
        before = sky.held()
        if moment is not None:
            sky.hold(moment[0], bot, after=moment[1])
        asked.append(ana.post(f"#{tag} {number}", photo(number), mention=bot))
        if moment is None:
            eventually("it is about to be sent", lambda: on_its_way(running, asked[-1]))
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(chance.uniform(0.0, 0.3))
        else:
            eventually("a request is held", lambda before=before: sky.held() > before)
            sending = "SELECT count(*) FROM replies WHERE state = 'sending'"
            assert running.query(sending) == [(1,)], "this reply, or one from before"
        running.kill()
        running.spawn()
    for uri in asked:
        eventually("the reply is sent", lambda uri=uri: sent(running, uri))
        assert len(bot.replies_to(uri)) == 1
    assert len(bot.records()) == len(asked)
    assert len(stored(running)) == len(asked)


def test_a_server_that_restarts_in_the_middle_of_a_reply(
    sky: Network, service: Start, bot: Person, ana: Person, tag: str
) -> None:
    running = service(polls=True)
    before = sky.held()
    sky.hold(PUT, bot, after=True)
    first = ana.post(f"#{tag} 1", photo(1), mention=bot)
    eventually("its record is made, and the answer held", lambda: sky.held() > before)
    sky.stop()
    eventually("polls fail", lambda: running.count("poll failed"))
    eventually("the stream says why", lambda: running.count("stream not read"))
    sky.start()
    eventually("the first is known to be sent", lambda: sent(running, first))
    second = ana.post(f"#{tag} 2", photo(2), mention=bot)
    eventually("the second is sent", lambda: sent(running, second))
    eventually("it listens again", lambda: running.count("stream resumed"))
    assert [len(bot.replies_to(uri)) for uri in (first, second)] == [1, 1]
    assert len(bot.records()) == 2


def test_a_limit_of_the_server_is_waited_for(tmp_path: Path) -> None:
    """Its own rate limiter, with a shorter window. Our account uses its limit up again and again
    until the reply has met it."""
    if problem := why_not():
        pytest.skip(problem)
    with network({"repo-write-hour": (20, 15)}) as sky:
        bot, ana = joined(sky, "echo"), joined(sky, "ana")
        with services(sky, bot, "dawn", tmp_path) as service:
            running, asked = service(), []
            while not sky.answered(PUT).get("429"):  # else it slipped through between two windows
                with used_up(bot):
                    asked.append(ana.post("#dawn", photo(len(asked)), mention=bot))
                    eventually(
                        "the reply is refused, or sent",
                        lambda: sky.answered(PUT).get("429") or sent(running, asked[-1]),
                    )
            eventually("it is sent", lambda: sent(running, asked[-1]))
            assert [len(bot.replies_to(uri)) for uri in asked] == [1] * len(asked)
            assert running.query("SELECT count(*) FROM replies") == [(len(asked),)]


@contextmanager
def used_up(person: Person) -> Iterator[None]:
    """They write as much as the server allows, in a thread."""
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            try:
                person.post("again")
            except RequestErrorBase:
                enough.wait(0.05)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_a_session_that_ended_is_begun_anew(
    service: Start, bot: Person, ana: Person, tag: str
) -> None:
    running = service()
    running.stop()
    (file,) = (running.data / "sessions").iterdir()
    kept = json.loads(file.read_text())
    handle, did, access, refresh, server = kept["session"].split(":::")
    head, claims, signature = access.split(".")
    ended = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    ended["exp"] = 1_700_000_000
    claims = base64.urlsafe_b64encode(json.dumps(ended).encode()).decode().rstrip("=")
    access = f"{head}.{claims}.{signature}"
    bot.client.com.atproto.server.delete_session(headers={"Authorization": f"Bearer {refresh}"})
    kept["session"] = ":::".join((handle, did, access, refresh, server))
    file.write_text(json.dumps(kept))
    running.start()
    asking = ana.post(f"#{tag}", photo(1), mention=bot)
    eventually("the reply is sent", lambda: sent(running, asking))
    assert len(bot.replies_to(asking)) == 1
    assert json.loads(file.read_text())["session"] != kept["session"]


def test_what_is_deleted_gets_no_reply_and_who_is_forgotten_keeps_none(
    service: Start, bot: Person, ana: Person, tag: str
) -> None:
    running = service(approval=True)
    gone = ana.post(f"#{tag} 1", photo(1), mention=bot)
    kept = ana.post(f"#{tag} 2", photo(2), mention=bot)
    waiting = "SELECT count(*) FROM replies WHERE state = 'awaiting_approval'"
    eventually("both wait", lambda: running.query(waiting) == [(2,)])
    ana.remove(gone)
    hidden = "app.bsky.feed.getPosts?uris=" + gone
    eventually("it is gone", lambda: bot.client.invoke_query(hidden).content == {"posts": []})
    assert running.run("replies", "approve", "1-2") == 0
    eventually("the other is sent", lambda: sent(running, kept))
    state = "SELECT state FROM replies WHERE source_post = ?"
    eventually("it is cancelled", lambda: running.query(state, gone) == [("cancelled",)])
    assert [one["value"]["reply"]["parent"]["uri"] for one in bot.records()] == [kept]
    assert running.run("forget", f"bluesky/{ana.handle}", "--yes") == 0
    eventually("our reply is deleted", lambda: bot.records() == [])
    assert not running.query("SELECT post_id FROM posts")


# --- what the loopback server of the contract takes for granted -----------------------------------


@pytest.fixture
def platform(sky: Network, bot: Person, tmp_path: Path) -> Iterator[BlueskyPlatform]:
    said = BlueskyAccount(
        platform="bluesky",
        username=bot.handle,
        password=SecretStr(PASSWORD),
        server=sky.pds,
        directory=sky.plc,
    )
    made = BlueskyPlatform("main", said, tmp_path / "session.json", NotedPacer())
    made.login()
    yield made
    made.close()


def replied(platform: BlueskyPlatform, post: Post) -> str:
    upload, reply = platform.ways.modes[0].steps
    outputs = dict(platform.send(written(upload, post, "up", {})).outputs)
    step = written(reply, post, "token", outputs)
    first = platform.send(step)
    assert platform.send(step) == first, "sent again, it is the same record"
    reading = platform.find(step, post.taken_at)
    assert (reading.verdict, reading.receipt) == (Presence.APPLIED, first)
    return first.remote_id


def until(expected: type[Exception], read: Callable[[], object]) -> None:
    """What somebody did is indexed after a moment."""

    def raised() -> bool:
        try:
            read()
        except expected:
            return True
        except NetworkError:
            return False  # not indexed yet
        return False

    eventually(f"it is {expected.__name__}", raised)


def seen(platform: BlueskyPlatform, uri: str) -> Post:
    def look() -> Post | None:
        try:
            return platform.post(uri)
        except TargetGone:
            return None

    return eventually("it is indexed", look)


def test_a_reply_is_made_once_and_can_be_deleted(
    platform: BlueskyPlatform, bot: Person, ana: Person
) -> None:
    uri = replied(platform, seen(platform, ana.post("look", photo(1))))
    assert [one["uri"] for one in bot.records()] == [uri]
    assert platform.exists("reply", uri)
    platform.delete("reply", uri)
    assert not platform.exists("reply", uri)
    assert bot.records() == []


def test_thread_gates_blocks_and_labels_are_seen(
    platform: BlueskyPlatform, ana: Person, sky: Network
) -> None:
    post = seen(platform, ana.post("closed", photo(1)))
    gate = {"$type": GATES, "post": post.post_id, "allow": [], "createdAt": WHEN}
    ana.put(gate, key=post.post_id.rpartition("/")[2])
    until(RecipientRefused, lambda: replied(platform, post))

    ben, fay = joined(sky, "ben"), joined(sky, "fay")
    shown = seen(platform, ben.post("look", photo(2)))
    me = platform.login().user_id
    ben.put({"$type": BLOCKS, "subject": me, "createdAt": WHEN})
    until(TargetPrivate, lambda: platform.profile(ben.handle))
    until(Refused, lambda: platform.post(shown.post_id))

    values = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]}
    labelled = fay.post("look", photo(3), labels=values)
    until(TargetPrivate, lambda: platform.post(labelled))


def test_a_handle_that_changes_is_the_same_person(platform: BlueskyPlatform, ana: Person) -> None:
    old = ana.handle
    post = seen(platform, ana.post("look", photo(1)))
    owner = platform.profile(old).owner
    new = old.replace("ana", "renamed")
    ana.client.com.atproto.identity.update_handle({"handle": new})
    eventually("it has its name", lambda: platform.author(ana.did).username == new)
    page = platform.profile(old)
    assert (page.owner, [one.post_id for one in page.posts]) == (owner, [post.post_id])


def test_a_hashtag_is_listed_in_pages(platform: BlueskyPlatform, ana: Person, tag: str) -> None:
    wanted = [ana.post(f"#{tag} {number}") for number in range(60)]
    ana.post(f"#{tag}er")
    eventually("all are found", lambda: len(listed(platform, tag)) == len(wanted))
    assert listed(platform, tag) == wanted[::-1]


def listed(platform: BlueskyPlatform, tag: str) -> list[str]:
    found, cursor = [], None
    while True:
        page = platform.hashtag(tag, cursor)
        found += [post.post_id for post in page.posts]
        if (cursor := page.cursor) is None or not page.posts:
            return found


def test_a_cursor_ahead_of_the_stream_is_refused(platform: BlueskyPlatform) -> None:
    topics = (Topic(TrackKind.HASHTAG, "dawn"),)
    until(Refused, lambda: platform.stream("seq:99999999", topics))
    assert platform.stream(None, topics).cursor
