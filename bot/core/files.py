"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, prefix: str = "") -> Iterator[BinaryIO]:
    """A file, mode 0600, that takes the place of `path` when the block ends without an error.

    Then the file and its name are on disk, whatever happens to the machine; until then `path` is as
    it was. What a killed process leaves behind begins with `prefix`, else with .NAME. Raises
    OSError.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix or f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)  # on a full disk it would only make it worse
        raise
    _sync_folder(path.parent)


def write_open(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with the permissions of any new file. Raises OSError."""
    umask = os.umask(0)
    os.umask(umask)
    with replacing(path) as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o666 & ~umask)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
