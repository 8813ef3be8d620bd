"""One service with accounts on three networks at once: none waits for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.platforms.mastodon_sandbox.server import Mastodon
from bot.platforms.sandbox.server import Sandbox
from tests.bluesky.server import PASSWORD, Server
from tests.e2e.kit import OPT_IN, Running
from tests.pictures import jpeg, photo
from tests.waiting import eventually

pytestmark = pytest.mark.slow
MEMORY = 500  # MB
_CONFIG = """\
[data]
dir = "data"

[accounts.sky]
platform = "bluesky"
username = "{sky.me.handle}"
server = "{sky.url}"
directory = "{sky.url}"
events = "{sky.events}"
mentions_every = "off"

[accounts.fedi]
platform = "mastodon"
username = "{fedi.username}"
server = "{fedi.server}"
mentions_every = "off"
timeout = "10m"

[accounts.gram]
platform = "instagram"
username = "{gram.username}"
proxy = "{gram.proxy_url}"
ca_file = "{gram.ca_file}"
media_hosts = ["{gram.media_host}"]
request_delay = [0, 0]
timeout = "10m"
mentions_every = "off"

{tracks}
[replies]
approval = false
comment = ""
reconcile = ["1s", "1s"]
opt_in_hashtags = ["{opt_in}"]
per_day = 1000
per_author_per_day = 1000

[pacing]
{pacing}

[health]
listen = ""
"""
ACTIONS = ("read", "media", "login", "upload", "write", "publish", "comment", "dm")


class OnThree(Running):
    def __init__(self, sky: Server, fedi: Mastodon, gram: Sandbox, folder: Path) -> None:
        self.sky, self.fedi, self.gram = sky, fedi, gram
        track = '[[tracks]]\naccount = "{}"\nhashtag = "sunset"\nevery = "1s"\n'
        text = _CONFIG.format(
            sky=sky,
            fedi=fedi,
            gram=gram,
            opt_in=OPT_IN,
            tracks="\n".join(map(track.format, ("sky", "fedi", "gram"))),
            pacing="\n".join(f'{action} = "off"' for action in ACTIONS),
        )
        secrets = {
            "TAGECHO_ACCOUNTS__SKY__PASSWORD": PASSWORD,
            "TAGECHO_ACCOUNTS__FEDI__TOKEN": fedi.token,
            "TAGECHO_ACCOUNTS__GRAM__PASSWORD": gram.password,
        }
        if gram.totp_secret:
            secrets["TAGECHO_ACCOUNTS__GRAM__TOTP_SECRET"] = gram.totp_secret
        super().__init__(folder, text, secrets, by_command=True)

    def ask(self, account: str, side: int) -> str:
        """A post that asks for a reply; its id."""
        text, data = f"#sunset #{OPT_IN}", jpeg(photo("coffee", side))
        if account == "sky":
            return self.sky.publish("ana", text, (data,))
        if account == "fedi":
            image = self.fedi.world.keep(data, "", (side, side))
            status = self.fedi.world.publish("ana", text, (image,))
            return f"{self.fedi.server}:{status.status_id}"
        if "ana" not in {one.username for one in self.gram.world.people.values()}:
            self.gram.world.add_user("ana")
        picture = self.gram.gallery.pick(side)
        return str(self.gram.world.add_post("ana", text, pictures=[picture]).pk)

    def until_sent(self, post: str) -> None:
        def there() -> bool:
            assert not self.dead(), self.output.read_text()[-2000:]
            state = "SELECT state FROM replies WHERE source_post = ?"
            return self.query(state, post) == [("sent",)]

        eventually(f"the reply to {post} is sent", there)


@pytest.fixture
def service(sandbox: Sandbox, no_foreign_ca: None, tmp_path: Path) -> Iterator[OnThree]:
    with ExitStack() as held:
        sky, fedi = held.enter_context(Server()), held.enter_context(Mastodon())
        made = OnThree(sky, fedi, sandbox, tmp_path / "service")
        held.callback(made.close)
        yield made


def test_what_hangs_or_fails_on_one_network_delays_no_other(service: OnThree) -> None:
    service.start()
    hanging = service.fedi.fail("hang", "publish")
    late = service.ask("fedi", 200)
    eventually("a reply hangs", lambda: hanging.hits)
    service.until_sent(service.ask("sky", 201))
    service.until_sent(service.ask("gram", 202))
    assert not hanging.released.is_set(), "it hung all the time"
    service.fedi.faults.clear()
    service.until_sent(late)

    service.sky.stop()
    eventually("its polls fail", lambda: service.count("poll failed", track="sky:hashtag:sunset"))
    service.until_sent(service.ask("gram", 203))
    service.sky.start()
    service.until_sent(service.ask("sky", 204))

    sources = "SELECT count(*), count(DISTINCT source_post) FROM replies WHERE state = 'sent'"
    assert service.query(sources) == [(5, 5)]
    assert len(service.sky.replies()) == 2
    assert set(service.fedi.world.replies_of(service.fedi.username).values()) == {1}
    peak = memory(service.process.pid)
    print(f"\nthree networks in one service: {peak:.0f} MB")
    assert peak < MEMORY


def memory(pid: int) -> float:
    """The highest resident memory so far, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
