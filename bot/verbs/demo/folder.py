"""The folder of a demonstration: emptied, and nothing outside of it is touched."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bot.config import Settings
from bot.core.errors import UsageError
from bot.core.folders import private_folder
from bot.service.locks import file_lock

MARKER = ".tagecho-demo"  # only a folder that carries it is ever emptied
LOCK = "running.lock"  # held while a demo runs in the folder


@contextlib.contextmanager
def fresh(folder: Path) -> Iterator[None]:
    """The folder, emptied, and ours alone for as long as it lasts.

    Raises UsageError rather than emptying one that is not ours, AccountLocked where one runs.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UsageError(f"{folder} holds something else: name another folder with --dir")
    private_folder(folder)
    (folder / MARKER).touch()
    with file_lock(folder / LOCK, str(folder)):
        for path in folder.iterdir():
            if path.name == MARKER or path.stem == LOCK.partition(".")[0]:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield


def contained(settings: Settings, folder: Path) -> Settings:
    """The settings, if what they name is ours to play with. Raises UsageError."""
    url = settings.data.database_url
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not file.resolve().is_relative_to(folder):
        raise UsageError(f"the database of a demo or rehearsal must lie in {folder}")
    return settings
