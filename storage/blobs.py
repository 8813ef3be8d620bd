"""Bytes by SHA-256: files on disk, reference counts in the database.

A file is written before its row is committed and removed after its row is gone, so a crash leaves
at most a file without a row, which `sweep` removes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, select

from bot.core.errors import StorageError
from bot.core.files import replacing
from bot.core.folders import private_folder
from storage.tables import BlobRow

_PARTIAL = ".put-"  # a file that is being written, or was when the power went


class BlobStore:
    """Files named by the hash of their content, `ab/cd/<sha256>`; mode 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256[2:4] / sha256

    def put(self, data: bytes) -> str:
        """Store bytes durably and return their hash. Storing the same bytes again costs a stat."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        try:
            if path.exists() and path.stat().st_size == len(data):
                os.utime(path)  # keeps `sweep` away until the row is committed
            else:
                private_folder(path.parent)
                with replacing(path, _PARTIAL) as file:
                    file.write(data)
        except OSError as error:
            raise StorageError(f"cannot store {len(data)} bytes: {error}") from error
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises StorageError when the file is missing or is not what its name says."""
        try:
            data = self.path(sha256).read_bytes()
        except OSError as error:
            raise StorageError(f"blob {sha256[:12]} cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(f"blob {sha256[:12]} is damaged on disk")
        return data

    def remove(self, hashes: Iterable[str]) -> None:
        """Delete files; one that is not there is no error. Raises StorageError."""
        try:
            for sha256 in hashes:
                self.path(sha256).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"blob cannot be removed: {error}") from error

    def sweep(self, session: Session, older_than: float = 3600.0) -> int:
        """Remove files that no row names and that are older than `older_than` seconds."""
        removed, horizon = 0, time.time() - older_than
        for path in self._files():
            if not _older(path, horizon):
                continue
            partial = path.name.startswith(_PARTIAL)
            orphan = partial or session.get(BlobRow, path.name) is None
            # Asked again: the same bytes may have been put while the database was looking.
            if orphan and _older(path, horizon):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        return (path for path in self.root.glob("??/??/*") if path.is_file())


def _older(path: Path, horizon: float) -> bool:
    try:
        return path.stat().st_mtime <= horizon
    except FileNotFoundError:  # removed meanwhile
        return False


def link(session: Session, sha256: str, size: int, mime: str, now: datetime) -> None:
    """Count one more row that refers to this blob."""
    row = session.get(BlobRow, sha256, with_for_update=True)
    if row is None:
        session.add(BlobRow(sha256=sha256, size=size, mime=mime, refs=1, created=now))
        session.flush()
    else:
        row.refs += 1


def unlink(session: Session, hashes: Iterable[str]) -> list[str]:
    """Count one row less for each blob. Returns those that nobody needs: delete their files after
    commit.
    """
    dead = []
    for sha256 in hashes:
        row = session.exec(
            select(BlobRow).where(BlobRow.sha256 == sha256).with_for_update()
        ).one_or_none()
        if row is None:
            continue
        row.refs -= 1
        if row.refs <= 0:
            session.delete(row)
            dead.append(sha256)
    session.flush()
    return dead
