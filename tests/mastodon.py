"""An account of ours on the loopback Mastodon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.platforms.base import Pacer
from bot.platforms.mastodon.adapter import MastodonPlatform
from bot.platforms.mastodon.connection import ServerConnection
from bot.platforms.mastodon_sandbox.server import Mastodon
from tests.waiting import PATIENCE


def mastodon_at(
    network: Mastodon, pacer: Pacer, *, session_file: Path, **changes: Any
) -> MastodonPlatform:
    """Not logged in yet. A failing read is not tried again: each failure is looked at.

    `changes` replace fields of the connection.
    """
    values: dict[str, Any] = {
        "server": network.server,
        "username": network.username,
        "token": network.token,
        "timeout": PATIENCE,
        "attempts": 1,
    }
    return MastodonPlatform("main", ServerConnection(**(values | changes)), session_file, pacer)
