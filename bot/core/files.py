"""Files that are there whole, or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, prefix: str = "") -> Iterator[BinaryIO]:
    """A file, mode 0600, that takes the place of `path` when the block ends without an error.

    Then the file and its name are on disk, whatever happens to the machine; until then `path` is as
    it was. What a killed process leaves behind begins with `prefix`, else with .NAME. A link stays
    one: the file that it leads to is replaced. What is no file, such as /dev/null or a pipe, is
    written to. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    if _is_special(path):
        with path.open("wb") as file:
            yield file
        return
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


def read_whole(path: Path, most: int = 1 << 29) -> bytes:
    """A file that a person named. Raises OSError, also for one of more than `most` bytes: a device
    may have no end."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", str(path))
    return data


def write_open(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, with the permissions of any new file. Raises OSError."""
    umask = os.umask(0)
    os.umask(umask)
    with replacing(path) as file:
        file.write(data)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o666 & ~umask)


def _is_special(path: Path) -> bool:
    """A device, a pipe or a socket: as root, one could be replaced by a file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
