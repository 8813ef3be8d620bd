"""An account of the loopback Instagram, for the files that give it a `box`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.platforms.instagram.adapter import InstagramPlatform
from bot.platforms.sandbox.server import Sandbox
from tests.contract.instagram_kit import OpenPacer, account


@pytest.fixture
def pacer() -> OpenPacer:
    return OpenPacer()


@pytest.fixture
def platform(
    box: Sandbox, pacer: OpenPacer, request: pytest.FixtureRequest, no_foreign_ca: None
) -> Iterator[InstagramPlatform]:
    """Logged in. Where the network hangs, the timeout is short enough to wait for."""
    callspec = getattr(request.node, "callspec", None)
    hangs = callspec is not None and "hang" in callspec.params.values()
    with account(box, pacer=pacer, timeout=1.0 if hangs else 15.0) as made:
        made.login()
        yield made
        box.faults.clear()
