"""Reloading: the configuration file is watched, and what a running service can adopt is adopted.

Which keys those are, the sections of `bot.config.settings` declare (`live`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from bot import config
from bot.config import Settings
from bot.core.errors import ConfigError

log = structlog.get_logger()
_Stamp = tuple[int, int, int]


class Reload:
    """Watches one file for one service. `ask` may be called by any thread and signal handler; the
    rest belongs to one thread."""

    def __init__(self, path: Path, settings: Settings, adopt: Callable[[Settings], None]) -> None:
        """`adopt` puts settings in force; it is called with the whole of them."""
        self._path = path
        self._settings = settings
        self._adopt = adopt
        self._asked = False
        # None: the first look reads the file, which may have been edited while the service started.
        self._seen: _Stamp | None = None
        self._read: _Stamp | None = None

    def ask(self) -> None:
        """Read the file at the next look, whether it changed or not."""
        self._asked = True  # no Event: a signal asks, and its handler must wait for no lock

    def look(self) -> None:
        """Read the file when it is another one than before, and was the same at the last look: an
        editor that empties a file before it writes must not take all tracks away."""
        before, self._seen = self._seen, _stamp(self._path)
        if self._asked or (self._seen != self._read and self._seen == before):
            self._asked = False
            self._read = self._seen
            self._load()

    def _load(self) -> None:
        """Adopt the file as a whole; keep the old configuration on any error."""
        try:
            new = config.load(self._path, styles=config.STYLES)
        except ConfigError as error:
            log.error("config rejected", problems=str(error).splitlines())
            return
        changes = config.changes(self._settings, new)
        settings = config.adopted(self._settings, new)
        unknown = {track.account for track in settings.tracks} - settings.accounts.keys()
        if unknown:
            log.error("restart required", accounts=sorted(unknown))
            return
        if any(change.live for change in changes):
            self._settings = settings
            self._adopt(settings)
            log.info("config adopted", changes=[str(c) for c in changes if c.live])
        if waiting := [str(change) for change in changes if not change.live]:
            log.warning("restart needed", changes=waiting)


def _stamp(path: Path) -> _Stamp | None:
    """Changes whenever an editor saves, whether in place or by renaming a new file over it."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
