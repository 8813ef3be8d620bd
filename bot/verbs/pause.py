"""The switch that stops all publishing."""

from __future__ import annotations

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.service.app import App, opened
from storage import outbox, pauses


def switch_pause(settings: Settings, account: str | None, *, on: bool, force: bool = False) -> None:
    """As `turn_switch`, on the storage of these settings."""
    with opened(settings) as app:
        turn_switch(app, settings, account, on=on, force=force)


def turn_switch(
    app: App, settings: Settings, account: str | None, *, on: bool, force: bool = False
) -> None:
    """The kill switch of an account, or of all with None. Switching it off also closes breakers
    that waited for a person; with `force` those too that the platform asked for."""
    if account is not None and account not in settings.accounts:
        raise UsageError(f"there is no account {account!r}")
    with app.database.write() as session:
        pauses.switch(session, account, on=on, now=utc_now())
    if on:
        return
    for name in [account] if account else list(settings.accounts):
        app.pacer(name).resume(force=force)
    with app.database.write() as session:
        outbox.unhold(session, account, utc_now())
