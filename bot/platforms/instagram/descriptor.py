"""Instagram, as the rest of the service knows it."""

from __future__ import annotations

from bot.platforms.base import Platform
from bot.platforms.descriptor import Descriptor, Opening, Package
from bot.platforms.instagram.addressing import SPELLING
from bot.platforms.instagram.connection import Connection
from bot.platforms.instagram.deletion import DELETION
from bot.platforms.instagram.reply_modes import WAYS
from bot.platforms.instagram.settings import InstagramAccount
from bot.platforms.instagram.sidecars import TOOLS
from bot.schema.values import parse_rate


def build(opening: Opening) -> Platform:
    """A client of one account. Loads instagrapi, which is heavy."""
    from bot.platforms.instagram.adapter import InstagramPlatform  # noqa: PLC0415
    from bot.platforms.instagram.session import Credentials  # noqa: PLC0415

    said = opening.settings
    if not isinstance(said, InstagramAccount):
        raise TypeError(f"accounts.{opening.account} is of another platform")
    credentials = Credentials(
        said.username,
        said.password.get_secret_value() if said.password else None,
        said.totp_secret.get_secret_value() if said.totp_secret else None,
    )
    connection = Connection(
        proxy=said.proxy.get_secret_value() if said.proxy else None,
        ca_file=said.ca_file,
        timeout=said.timeout.total_seconds(),
        delay=said.request_delay,
    )
    return InstagramPlatform(
        account=opening.account,
        credentials=credentials,
        connection=connection,
        session_file=opening.session_file,
        media_hosts=said.media_hosts,
        pacer=opening.pacer,
    )


PLATFORM = Descriptor(
    name="instagram",
    settings=InstagramAccount,
    secrets=("password", "totp_secret"),
    build=build,
    actions={  # careful guesses: no safe rate is published
        "read": parse_rate("300/h"),
        "media": parse_rate("1000/h"),
        "login": parse_rate("3/h"),
        "upload": parse_rate("10/h"),
        "publish": parse_rate("6/h"),
        "comment": parse_rate("6/h"),
        "dm": parse_rate("10/h"),
        "delete": parse_rate("20/h"),
    },
    ways=WAYS,
    spelling=SPELLING,
    deletion=DELETION,
    credentials=("enc_password", "sessionid", "csrftoken", "ds_user_id", "ig-set-authorization"),
    sdk=Package("instagrapi", tested="3.2."),
    tools=TOOLS,
    loopback="bot.platforms.sandbox",
)
