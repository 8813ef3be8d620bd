"""Bluesky, as the rest of the service knows it."""

from __future__ import annotations

from bot.platforms.base import Platform
from bot.platforms.bluesky.addressing import SPELLING
from bot.platforms.bluesky.deletion import DELETION
from bot.platforms.bluesky.reply_modes import WAYS
from bot.platforms.bluesky.settings import BlueskyAccount
from bot.platforms.descriptor import Descriptor, Opening, Package
from bot.schema.values import parse_rate


def build(opening: Opening) -> Platform:
    """A client of one account. Loads atproto: 48 MB, and 1.8 s of one core."""
    from bot.platforms.bluesky.adapter import BlueskyPlatform  # noqa: PLC0415

    if not isinstance(opening.settings, BlueskyAccount):
        raise TypeError(f"accounts.{opening.account} is of another platform")
    return BlueskyPlatform(opening.account, opening.settings, opening.session_file, opening.pacer)


PLATFORM = Descriptor(
    name="bluesky",
    settings=BlueskyAccount,
    secrets=("password",),
    build=build,
    actions={  # what the network publishes, with room for what else the operator does there
        "read": parse_rate("2400/5m"),  # of 3000 for each address
        "media": None,  # from the authors' own servers
        "login": parse_rate("20/5m"),  # of 30
        "upload": parse_rate("300/h"),
        "write": parse_rate("1000/h"),  # 3 points each, of 5000
        "delete": parse_rate("1000/h"),  # 1 point each
    },
    ways=WAYS,
    spelling=SPELLING,
    deletion=DELETION,
    streams=True,
    credentials=("accessJwt", "refreshJwt"),
    loopback="bot.platforms.bluesky_sandbox",
    sdk=Package("atproto", tested="0.0."),
)
