"""Folders that only their owner may look into."""

from __future__ import annotations

import errno
import os
from pathlib import Path

PRIVATE = 0o700


def private_folder(path: Path) -> None:
    """Make the folder, and the missing ones above it, with mode 0700. Raises OSError.

    `Path.mkdir(parents=True, mode=…)` gives that mode to the last folder only.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def keep_private(path: Path) -> None:
    """Take rights of others away from a folder of ours that an older version made.

    Raises OSError, but for a folder of somebody else, which is theirs to decide on.
    """
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        try:
            path.chmod(mode & PRIVATE)
        except PermissionError:
            return
