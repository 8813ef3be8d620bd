"""How everything is, as often as it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.service.app import opened
from bot.service.state import ServiceState, look, unread


def states(settings: Settings) -> Iterator[ServiceState]:
    """The state of each moment at which the next one is asked for. A database that cannot be opened
    is part of what is told."""
    while True:
        try:
            with opened(settings) as app:
                while True:
                    yield look(settings, app.database, utc_now())
        except StorageError as error:
            yield unread(settings, str(error), utc_now())


def state_of(settings: Settings) -> ServiceState:
    """The state now."""
    return next(states(settings))
