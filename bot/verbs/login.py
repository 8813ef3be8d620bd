"""A session that a person makes: by the password, or from a browser's cookies."""

from __future__ import annotations

from pathlib import Path

from bot.config import Settings
from bot.core.errors import UsageError
from bot.core.events import Author
from bot.platforms.base import Adopting
from bot.service.app import opened


def log_in(settings: Settings, name: str, cookies: Path | None = None) -> Author:
    """Make a session of this account and keep it. Returns who we are.

    `cookies`: a cookies.txt to take it from. Raises AccountLocked while another process works with
    the account, UsageError for cookies that are of no use, and what the platform raises.
    """
    with opened(settings) as app, app.lock(name):
        app.pacer(name).resume()  # the person who types this has looked at the account
        platform = app.platform(name)
        try:
            if cookies is None:
                return platform.login()
            if not isinstance(platform, Adopting):
                raise UsageError(f"{platform.name} takes no session from cookies")
            return platform.adopt(cookies)
        finally:
            platform.close()
