"""The platform in memory, as the rest of the service knows it."""

from __future__ import annotations

from bot.platforms.base import Platform
from bot.platforms.descriptor import Descriptor, Opening
from bot.platforms.memory.addressing import SPELLING
from bot.platforms.memory.deletion import DELETION
from bot.platforms.memory.reply_modes import WAYS
from bot.platforms.memory.settings import MemoryAccount
from bot.schema.values import parse_rate


def build(opening: Opening) -> Platform:
    """A client of one account on its server's network, which is made where there is none."""
    from bot.platforms.memory.adapter import MemoryPlatform  # noqa: PLC0415
    from bot.platforms.memory.network import network_of  # noqa: PLC0415

    said = opening.settings
    if not isinstance(said, MemoryAccount):
        raise TypeError(f"accounts.{opening.account} is of another platform")
    network = network_of(said.server)
    return MemoryPlatform(opening.account, said.username, network, opening.pacer)


PLATFORM = Descriptor(
    name="memory",
    settings=MemoryAccount,
    secrets=("token",),
    build=build,
    actions={
        "read": parse_rate("3000/5m"),
        "media": None,
        "login": parse_rate("30/5m"),
        "write": parse_rate("60/h"),
        "delete": parse_rate("60/h"),
    },
    ways=WAYS,
    spelling=SPELLING,
    deletion=DELETION,
    streams=True,
)
