"""A folder that is complete or absent; a file that computes its hash."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from bot.core.errors import StorageError, UsageError


@contextlib.contextmanager
def whole_folder(out: Path, *, replace: bool, commit: Callable[[], None]) -> Iterator[Path]:
    """An empty folder beside `out` that replaces it when the block ends without an error.

    `commit` is called just before that, when everything is on disk. After any error `out` is as
    before; the next run removes what a killed run left beside it. Raises UsageError when
    `out` exists and must not be replaced, or is being written; StorageError for disk errors.
    """
    out = out.absolute()
    part, old = (out.with_name(f".{out.name}.tagecho-{what}") for what in ("part", "old"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _held(part):
            if old.exists():  # a run was killed between its two renames, or just after them
                shutil.rmtree(old) if out.exists() else old.rename(out)
            _may_take(out, replace)
            _empty(part)
            try:
                yield part
                os.sync()  # once for thousands of files; the renames must come after them
                commit()
                if out.exists():
                    out.rename(old)
                part.rename(out)
            except BaseException:
                _restore(out, part, old)
                raise
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{out}: {error.strerror or error}; nothing was written") from error


def _may_take(out: Path, replace: bool) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"--out {out} is not a folder")
    if out.is_dir() and any(out.iterdir()) and not replace:
        raise UsageError(f"--out {out} exists: choose another folder, or add --replace")


@contextlib.contextmanager
def _held(part: Path) -> Iterator[None]:
    """The kernel releases the lock whenever the process ends."""
    part.mkdir(exist_ok=True)
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is writing {part}") from None
        yield
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _restore(out: Path, part: Path, old: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    if old.exists() and not out.exists():
        old.rename(out)


_NOT_IN_YAML = re.compile("[\x7f-\x9f\ufffe\uffff]")


def yaml_text(text: str) -> str:
    """A quoted scalar of YAML. JSON's escapes would make two surrogates of an emoji there."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


class Closable(Protocol):
    def close(self) -> object: ...


def shut(file: Closable | None) -> None:
    """Close a file that is not needed any more; on a full disk even closing may fail."""
    if file is not None:
        with contextlib.suppress(OSError):
            file.close()


class Hashed:
    """A file that is being written, with its SHA-256."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = path.open("xb")

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)

    def close(self) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
