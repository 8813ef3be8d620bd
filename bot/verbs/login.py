"""A session that a person makes: by the password, or from a browser's cookies."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.config import Settings
from bot.config.initial import Beginning
from bot.core.errors import UsageError
from bot.core.events import Author
from bot.core.folders import private_folder
from bot.platforms.base import Adopting
from bot.service.app import account_of, descriptor_of, opened, session_file
from bot.verbs.init import keep_secret


def remarks_of(settings: Settings, name: str) -> Sequence[str]:
    """What a person should change about the account, as its platform sees it."""
    path = session_file(settings, name)
    found = descriptor_of(account_of(settings, name))
    if not path.exists():
        return ()
    return found.remarks(json.loads(path.read_text(encoding="utf-8-sig")))


def lacks_secret(settings: Settings, name: str) -> bool:
    """Whether the account has no secret yet, and its platform gives one for a code."""
    account = account_of(settings, name)
    found = descriptor_of(account)
    return found.authorize is not None and getattr(account, found.secrets[0]) is None


def authorize(settings: Settings, name: str, folder: Path, ask: Callable[[str], str]) -> Path:
    """The secret for a code, in a file of mode 0600 in `folder`, which is returned.

    `ask` is given the address that a person opens, and gives back the code that they see there.
    Raises AccountLocked, UsageError for a code that is none, and what the platform raises.
    """
    with opened(settings) as app, app.lock(name):
        app.pacer(name).resume()  # the person who types this has looked at the account
        flow = app.authorization(name)
        if flow is None:
            raise UsageError(f"{name}: its platform gives no secret for a code")
        try:
            secret = flow.secret(ask(flow.address).strip())
        finally:
            flow.close()
    said = Beginning(account_of(settings, name).username, name, account_of(settings, name).platform)
    private_folder(folder)
    return keep_secret(folder, said, secret)


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
