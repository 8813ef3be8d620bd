"""Mastodon and servers that speak its API: `adapter` loads Mastodon.py, this package does not."""

from bot.platforms.mastodon.descriptor import PLATFORM

__all__ = ["PLATFORM"]
