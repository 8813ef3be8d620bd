"""The Instagram platform: `adapter` loads instagrapi, this package does not."""

from bot.platforms.instagram.descriptor import PLATFORM

__all__ = ["PLATFORM"]
