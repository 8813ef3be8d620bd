"""Bluesky, and other servers of the AT Protocol with its applications."""

from bot.platforms.bluesky.descriptor import PLATFORM

__all__ = ["PLATFORM"]
