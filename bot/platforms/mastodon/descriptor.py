"""Mastodon, as the rest of the service knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bot.platforms.base import Authorization, Platform
from bot.platforms.descriptor import Descriptor, Opening, Package
from bot.platforms.mastodon.addressing import SPELLING
from bot.platforms.mastodon.deletion import DELETION
from bot.platforms.mastodon.reply_modes import WAYS
from bot.platforms.mastodon.settings import MastodonAccount
from bot.schema.values import parse_rate

if TYPE_CHECKING:
    from bot.platforms.mastodon.connection import ServerConnection


def build(opening: Opening) -> Platform:
    """A client of one account. Loads Mastodon.py."""
    from bot.platforms.mastodon.adapter import MastodonPlatform  # noqa: PLC0415

    said = _settings(opening)
    return MastodonPlatform(
        opening.account,
        _connection(said),
        opening.session_file,
        opening.pacer,
        visibility=said.visibility,
        language=said.language,
    )


def authorize(opening: Opening) -> Authorization:
    """Registers an app on the server. Loads Mastodon.py."""
    from bot.platforms.mastodon.authorization import CodeAuthorization  # noqa: PLC0415

    return CodeAuthorization(_connection(_settings(opening)), opening.pacer)


def _settings(opening: Opening) -> MastodonAccount:
    if not isinstance(opening.settings, MastodonAccount):
        raise TypeError(f"accounts.{opening.account} is of another platform")
    return opening.settings


def _connection(said: MastodonAccount) -> ServerConnection:
    from bot.platforms.mastodon.connection import ServerConnection  # noqa: PLC0415

    return ServerConnection(
        server=said.server,
        username=said.username,
        token=said.token.get_secret_value() if said.token else None,
        proxy=said.proxy.get_secret_value() if said.proxy else None,
        ca_file=said.ca_file,
        timeout=said.timeout.total_seconds(),
    )


def remarks(session: Mapping[str, Any]) -> tuple[str, ...]:
    """What servers ask of bots."""
    if session.get("bot") is False:
        return (
            "is not marked as a bot, which servers ask for: Preferences > Public profile, "
            "'This is an automated account', then tagecho login",
        )
    return ()


PLATFORM = Descriptor(
    name="mastodon",
    settings=MastodonAccount,
    secrets=("token",),
    build=build,
    actions={  # below what a server allows by default
        "read": parse_rate("300/5m"),
        "media": parse_rate("1000/h"),
        "login": parse_rate("30/h"),
        "upload": parse_rate("30/30m"),
        "publish": parse_rate("100/h"),
        "delete": parse_rate("30/30m"),
    },
    ways=WAYS,
    spelling=SPELLING,
    deletion=DELETION,
    streams=True,
    credentials=("access_token", "client_secret"),
    authorize=authorize,
    loopback="bot.platforms.mastodon_sandbox",
    remarks=remarks,
    sdk=Package("Mastodon.py", tested="2.3."),
)
