"""An account of the loopback Instagram, for the files that give it a `box`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.platforms.instagram import InstagramPlatform
from bot.platforms.sandbox.server import Sandbox
from tests.contract.instagram_kit import OpenGate, account


@pytest.fixture
def gate() -> OpenGate:
    return OpenGate()


@pytest.fixture
def platform(
    box: Sandbox, gate: OpenGate, request: pytest.FixtureRequest, no_foreign_ca: None
) -> Iterator[InstagramPlatform]:
    """Logged in. Where the network hangs, the timeout is short enough to wait for."""
    callspec = getattr(request.node, "callspec", None)
    hangs = callspec is not None and "hang" in callspec.params.values()
    with account(box, gate=gate, timeout=1.0 if hangs else 15.0) as made:
        made.login()
        yield made
        box.faults.clear()
