"""An account of the loopback Instagram, for the files that give it a `box`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Post
from tests.contract.instagram_kit import OpenPacer, account
from tests.waiting import PATIENCE


@pytest.fixture
def pacer() -> OpenPacer:
    return OpenPacer()


@pytest.fixture
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client answers at once, well or badly: its own waits are turned off."""
    sleep = time.sleep

    def refuse(seconds: float) -> None:
        caller = sys._getframe(1).f_globals["__name__"]
        assert not seconds or not caller.startswith(("instagrapi", "bot.platforms.instagram"))
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", refuse)


@pytest.fixture
def platform(
    box: Sandbox, pacer: OpenPacer, request: pytest.FixtureRequest, no_foreign_ca: None, awake: None
) -> Iterator[InstagramPlatform]:
    """Logged in. Where the network hangs, the timeout is short enough to wait for."""
    callspec = getattr(request.node, "callspec", None)
    hangs = callspec is not None and "hang" in callspec.params.values()
    with account(box, pacer=pacer, timeout=2.0 if hangs else PATIENCE) as made:
        made.login()
        yield made
        box.faults.clear()


@pytest.fixture
def source(sandbox: Sandbox) -> Post:
    """A post of ana's that asks, as the network has it."""
    sandbox.world.add_user("ana")
    return sandbox.world.add_post("ana", "@imagebot please")
