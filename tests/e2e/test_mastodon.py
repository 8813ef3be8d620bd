"""`tagecho run` on a loopback Mastodon: judged by what the server has, and by its requests."""

from __future__ import annotations

import io
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from bot.platforms.mastodon_sandbox.faults import Fault
from bot.platforms.mastodon_sandbox.server import Mastodon
from bot.platforms.mastodon_sandbox.world import Status
from bot.verbs.pause import switch_pause
from tests.e2e.kit import OPT_IN, Running
from tests.pictures import plain_jpeg
from tests.waiting import eventually

pytestmark = pytest.mark.slow

_CONFIG = """\
[data]
dir = "data"

[accounts.main]
platform = "mastodon"
username = "{username}"
server = "{server}"
mentions_every = "{every}"

[[tracks]]
account = "main"
hashtag = "sunset"
every = "{every}"

[replies]
approval = false
reconcile = ["1s", "1s"]
opt_in_hashtags = ["{opt_in}"]
per_day = 100000
per_author_per_day = 100000

[limits]
per_poll = 2000

[pacing]
read = "off"
media = "off"
login = "off"
upload = "off"
publish = "off"

[health]
listen = ""
"""


class OnServer(Running):
    def __init__(self, network: Mastodon, folder: Path, every: str, *, by_command: bool) -> None:
        self.network, self.world = network, network.world
        text = _CONFIG.format(
            username=network.username, server=network.server, opt_in=OPT_IN, every=every
        )
        secrets = {"TAGECHO_ACCOUNTS__MAIN__TOKEN": network.token}
        super().__init__(folder, text, secrets, by_command=by_command)

    def asking(self, author: str = "ana", colour: int = 90, **more: object) -> Status:
        data = plain_jpeg((320, 320), (colour, 200 - colour, 120))
        image = self.world.keep(data, "", (320, 320))
        text = f"look, #sunset #{OPT_IN}"
        return self.world.publish(author, text, (image,), **more)

    def state(self, post: Status) -> str:
        source = f"{self.network.server}:{post.status_id}"
        rows = self.query("SELECT state FROM replies WHERE source_post = ?", source)
        return str(rows[0][0]) if rows else ""

    def until(self, post: Status, *states: str) -> None:
        def there() -> bool:
            assert not self.dead(), self.output.read_text()[-2000:]
            return self.state(post) in states

        eventually(f"the reply to {post.status_id} is {states}", there)

    def made(self, post: Status) -> int:
        """Replies of ours to it, those that were deleted among them."""
        return self.world.replies_of(self.network.username).get(post.status_id, 0)


@pytest.fixture
def network() -> Iterator[Mastodon]:
    with Mastodon() as started:
        yield started


@contextmanager
def running(
    network: Mastodon, folder: Path, every: str = "1s", *, by_command: bool = False
) -> Iterator[OnServer]:
    made = OnServer(network, folder, every, by_command=by_command)
    try:
        yield made
    finally:
        made.close()


def hangs(network: Mastodon, fault: Fault) -> None:
    eventually("the request hangs", lambda: fault.hits)


def test_a_service_on_mastodon(network: Mastodon, tmp_path: Path) -> None:
    """One life of it: a reply, a 429, a deleted parent, a restarted server, an ended token."""
    with running(network, tmp_path / "service", by_command=True) as service:
        service.start()
        post = service.asking(spoiler_text="sun", sensitive=True)
        service.until(post, "sent")
        (reply,) = network.world.replies(post.status_id)
        (image,) = reply.images
        assert (reply.visibility, reply.spoiler_text, reply.language) == ("unlisted", "sun", "en")
        assert reply.sensitive and "@ana" in reply.text and image.description
        with Image.open(io.BytesIO(image.data)) as shown:
            assert (shown.format, shown.width) == ("JPEG", 1080)
        wanted = [one.data for one in post.images]
        stored = [
            path.read_bytes() for path in (service.data / "originals").rglob("*") if path.is_file()
        ]
        assert [data for data in stored if data in wanted], "the original bytes"

        throttled = network.fail("throttled", "publish", seconds=2)
        post = service.asking("ben", 30)
        service.until(post, "sent")
        assert throttled.hits == 1 and service.made(post) == 1

        throttled = network.fail("throttled", "publish", seconds=8)
        post = service.asking("cleo", 50)
        hangs(network, throttled)
        network.world.remove(post.status_id)
        service.until(post, "cancelled")
        assert service.made(post) == 0

        network.stop()
        eventually("a poll fails", lambda: service.count("poll failed"))
        network.start()
        post = service.asking("dora", 70)
        service.until(post, "sent")
        assert service.made(post) == 1

        del network.world.tokens[network.token]
        eventually("a person is wanted", lambda: service.count("login failed"))
        (first, *_) = service.logged("login failed")
        assert first["kind"] == "BadCredentials"
        asked = network.asked("whoami")
        post = service.asking("emil", 110)
        network.world.tokens[network.token] = network.username
        assert network.asked("whoami") == asked, "nobody is asked before a person has looked"
        switch_pause(service.settings, None, on=False)
        service.until(post, "sent")
        assert service.stop() == 0
    assert set(network.world.replies_of(network.username).values()) == {1}


KEPT = (("publish", False), ("publish", True), ("upload", True))


@pytest.mark.parametrize("idempotent", [True, False], ids=["keys", "no keys"])
def test_killed_while_a_reply_is_sent(network: Mastodon, tmp_path: Path, idempotent: bool) -> None:
    """Where the server looks at idempotency keys, and where it does not."""
    network.world.idempotent = idempotent
    stages = KEPT if idempotent else KEPT[1:2]
    with running(network, tmp_path / "service") as service:
        posts = []
        for number, (where, after) in enumerate(stages):
            fault = network.fail("hang", where, after=after)
            posts.append(service.asking(f"p{number}", 40 * number + 20))
            service.start()
            hangs(network, fault)
            service.kill()
            network.faults.clear()
        service.start()
        for post in posts:
            service.until(post, "sent")
        service.stop()
    assert [service.made(post) for post in posts] == [1] * len(posts)


def test_killed_at_twenty_moments(network: Mastodon, tmp_path: Path) -> None:
    """Wherever the process dies between the first request of a reply and the last."""
    chance = random.Random(14)
    network.world.idempotent = False
    with running(network, tmp_path / "service") as service:
        posts = []
        for number in range(20):
            posts.append(service.asking(f"p{number}", 10 * number))
            service.start()
            until_sending(network, number, chance.randrange(6))
            service.kill()
        service.start()
        for post in posts:
            service.until(post, "sent")
        service.stop()
    assert [service.made(post) for post in posts] == [1] * len(posts)


def until_sending(network: Mastodon, uploads: int, requests: int) -> None:
    """Until there were more uploads than so many, and so many requests of any kind after that."""
    eventually("a reply is on its way", lambda: network.asked("upload") > uploads)
    wanted = len(network.requests) + requests
    eventually("its moment has come", lambda: len(network.requests) >= wanted)


def test_a_burst_is_stored_whole_and_once(network: Mastodon, tmp_path: Path) -> None:
    """The time from a post to its reply; then a thousand posts while it runs, and its memory."""
    with running(network, tmp_path / "service", every="5m") as service:
        service.start()
        eventually("it listens", lambda: network.world.listeners() == 2)
        for number in range(5):
            service.until(service.asking(f"q{number}", 30 * number), "sent")
        took = "SELECT (julianday(sent_at) - julianday(created)) * 86400 FROM replies"
        seconds = statistics.median(row[0] for row in service.query(took))
        image = network.world.keep(plain_jpeg((64, 64)), "", (64, 64))
        for number in range(1000):
            network.world.publish(f"p{number % 50}", f"#sunset {number}", (image,))
        stored = "SELECT COUNT(*), COUNT(DISTINCT post_id) FROM posts"
        eventually("all are stored", lambda: service.query(stored)[0][0] >= 1005)
        assert service.query(stored) == [(1005, 1005)]
        peak = memory(service.process.pid)
        service.stop()
    print(f"\npost to published reply: p50 {seconds:.1f} s; memory {peak:.0f} MB")
    assert peak < 500


def memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
