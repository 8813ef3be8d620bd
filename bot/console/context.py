"""What every page and every call of the API needs."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Lock
from typing import Annotated

from fastapi import Depends, Request

from bot import config
from bot.config import Settings
from bot.core.errors import ConfigError
from bot.service.app import App

_Stamp = tuple[int, int, int]


class Context:
    """The configuration file, as it is now, and the storage. May be used by several threads."""

    def __init__(self, path: Path, app: App) -> None:
        self.path = path
        self.app = app
        self.stop = Event()  # set when the console ends: long answers end, too
        self.passwords = app.settings.console.passwords  # by role; others wait for a restart
        self.config_error = ""  # why the file, as it is now, is not in force
        self._settings = app.settings
        self._lock = Lock()
        self._seen: _Stamp | None = None

    @property
    def settings(self) -> Settings:
        """Of the file; while it is wrong, those before. `tagecho status` reads it likewise."""
        with self._lock:
            stamp = _stamp(self.path)
            if stamp != self._seen:
                self._seen = stamp
                self._read()
            return self._settings

    def _read(self) -> None:
        try:
            self._settings = config.load(self.path, styles=config.STYLES, secrets="sections")
            self.config_error = ""
        except ConfigError as error:
            self.config_error = str(error)


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def context_of(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Here = Annotated[Context, Depends(context_of)]
