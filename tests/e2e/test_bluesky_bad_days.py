"""`tagecho run` on the loopback Bluesky: what a real network does not do when it is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.platforms.memory.network import Fault
from tests.bluesky.server import PASSWORD, Server
from tests.contract.subjects import picture
from tests.e2e.kit import Running
from tests.waiting import eventually

pytestmark = pytest.mark.slow
_CONFIG = """\
[data]
dir = "data"

[accounts.main]
platform = "bluesky"
username = "{username}"
server = "{server}"
directory = "{server}"
events = "{events}"
mentions_every = "1s"

[replies]
approval = false
reconcile = ["1s", "1s"]

[pacing]
read = "off"

[health]
listen = ""
"""


@pytest.fixture
def network() -> Iterator[Server]:
    with Server() as network:
        yield network


@pytest.fixture
def running(network: Server, tmp_path: Path) -> Iterator[Running]:
    said = {"username": network.me.handle, "server": network.url, "events": network.events}
    secrets = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": PASSWORD}
    made = Running(tmp_path, _CONFIG.format(**said), secrets, by_command=True)
    try:
        made.start()
        yield made
    finally:
        made.close()


def ask(network: Server, name: str) -> str:
    me = network.me
    return network.publish(name, f"look, @{me.handle}", (picture("PNG"),), mention=me.did)


def answered(network: Server, running: Running, uri: str) -> int:
    assert not running.dead(), "the service ended"
    return sum(one.value["reply"]["parent"]["uri"] == uri for one in network.replies())


def test_a_reply_waits_for_the_limit_and_is_sent_once(network: Server, running: Running) -> None:
    network.reset_seconds = 2
    network.fail("com.atproto.repo.putRecord", Fault.THROTTLED)
    uri = ask(network, "ana")
    eventually("it is sent", lambda: answered(network, running, uri))
    assert network.requests.count("com.atproto.repo.putRecord") == 2
    eventually("it is done", lambda: running.query("SELECT state FROM replies") == [("sent",)])
    assert answered(network, running, uri) == 1


def test_a_lost_answer_is_read_back_and_nothing_sent_again(
    network: Server, running: Running
) -> None:
    network.fail("com.atproto.repo.putRecord", Fault.LOST_AFTER)
    uri = ask(network, "ana")
    eventually("it is done", lambda: running.query("SELECT state FROM replies") == [("sent",)])
    assert answered(network, running, uri) == 1
    assert network.requests.count("com.atproto.repo.putRecord") == 1


def test_a_server_that_restarts_is_read_again(network: Server, running: Running) -> None:
    first = ask(network, "ana")
    eventually("the first is answered", lambda: answered(network, running, first))
    network.stop()

    def failed() -> bool:
        return bool(running.count("poll failed") and running.count("stream not read"))

    eventually("the polls fail, and the stream says why", failed)
    network.start()
    second = ask(network, "ben")
    eventually("the second is answered", lambda: answered(network, running, second))
    assert answered(network, running, first) == answered(network, running, second) == 1
