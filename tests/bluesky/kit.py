"""What the tests of Bluesky share: an account on a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.platforms.base import Pacer
from bot.platforms.bluesky.adapter import BlueskyPlatform
from bot.platforms.bluesky.settings import BlueskyAccount
from tests.bluesky.server import PASSWORD, Server


def bluesky_at(
    network: Server, pacer: Pacer, session_file: Path, **changes: Any
) -> BlueskyPlatform:
    """Our account, not logged in yet; a read is tried once. `changes`: keys of the account."""
    keys = {
        "username": network.me.handle,
        "password": SecretStr(PASSWORD),
        "server": network.url,
        "directory": network.url,
        "events": network.events,
    } | changes
    said = BlueskyAccount(platform="bluesky", **keys)
    return BlueskyPlatform("main", said, session_file, pacer, attempts=1)
