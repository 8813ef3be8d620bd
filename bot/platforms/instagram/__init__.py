"""The Instagram platform. Importing this loads instagrapi: import it where an account is opened."""

from bot.platforms.instagram.adapter import InstagramPlatform

__all__ = ["InstagramPlatform"]
