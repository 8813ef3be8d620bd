"""`tagecho backup` and `restore`: all data as one file of mode 0600, verified both ways.

The file is a tar without compression, for images do not get smaller. The database stands first, as
of one moment; what the service adds while the files are read is not named by it, and harmless.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bot.config import Settings
from bot.core.errors import NotInstalled, StorageError, UsageError
from bot.core.files import replacing
from bot.core.folders import private_folder
from bot.service.progress import progress
from storage import copies

MANIFEST = "manifest.json"
DATABASE = "database/"
DATA = "data/"
LEFT_OUT = {"locks", "logs", "search"}  # of one machine, or made again by themselves
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a file has in it."""

    path: Path
    files: int
    bytes: int


def backup(settings: Settings, target: Path) -> Backup:
    """Write the file and read it again. Raises UsageError where it exists, StorageError."""
    if target.exists():
        raise UsageError(f"{target} is there already: name another file")
    if not settings.data.dir.is_dir():
        raise UsageError(f"{settings.data.dir}: there is no data to back up yet")
    try:
        with replacing(target) as file:
            _write(settings, file)
    except FileNotFoundError as error:
        raise _missing(error, target) from error
    except OSError as error:
        raise StorageError(f"{error.filename or target}: {error.strerror}") from error
    try:
        with tempfile.TemporaryDirectory(dir=settings.data.dir, prefix=".backup-") as folder:
            return _unpacked(target, Path(folder), keep=False)
    except StorageError:
        target.unlink()
        raise


def restore(settings: Settings, source: Path) -> Backup:
    """Make the data folder, and the database, from a backup.

    Raises UsageError where data are there already, StorageError for a damaged file or a database
    that is not empty, which changes nothing.
    """
    home = settings.data.dir
    if home.exists() and any(home.iterdir()):
        raise UsageError(f"{home} has data: stop the service, and move the folder away first")
    try:
        private_folder(home.parent)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".restore-") as name:
            folder = Path(name)
            found = _unpacked(source, folder, keep=True)
            data = folder / DATA
            private_folder(data)
            _take_place(data, home)
            (copied,) = (folder / DATABASE).iterdir()
            try:
                copies.put(copied, settings.data.database_url)
            except (StorageError, OSError):
                home.replace(data)  # without its database it is worth nothing
                raise
    except FileNotFoundError as error:
        raise _missing(error, source) from error
    except OSError as error:
        raise StorageError(f"{error.filename or source}: {error.strerror}") from error
    return found


def _take_place(made: Path, home: Path) -> None:
    if home.exists():
        home.rmdir()
    made.replace(home)


def _missing(error: FileNotFoundError, path: Path) -> Exception:
    program = Path(str(error.filename)).name
    if program in {"pg_dump", "pg_restore"}:
        return NotInstalled(f"{program} is needed: install the client programs of PostgreSQL")
    return UsageError(f"{error.filename or path}: no such file or folder")


def _write(settings: Settings, file: IO[bytes]) -> None:
    url, sums = settings.data.database_url, dict[str, str]()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        with tempfile.TemporaryDirectory(dir=settings.data.dir, prefix=".backup-") as folder:
            copied = Path(folder) / copies.name_of(url)
            copies.copy(url, copied)
            _add(tar, copied, DATABASE + copied.name, sums)
        for path in progress(list(_files(settings)), "files"):
            _add(tar, path, DATA + path.relative_to(settings.data.dir).as_posix(), sums)
        told = {"tagecho": version("tagecho"), "sha256": sums}
        text = json.dumps(told, indent=1).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(text), 0o600
        tar.addfile(entry, io.BytesIO(text))


def _files(settings: Settings) -> Iterator[Path]:
    """Everything in the data folder but the database and what is made again."""
    home = settings.data.dir
    for path in sorted(home.rglob("*")):
        first = path.relative_to(home).parts[0]
        ours = first not in LEFT_OUT and not first.startswith((".", "tagecho.db"))
        if ours and path.is_file() and not path.is_symlink():
            yield path


def _add(tar: tarfile.TarFile, path: Path, name: str, sums: dict[str, str]) -> None:
    """A file that is gone meanwhile, as after `forget`, is left out."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        entry = tar.gettarinfo(arcname=name, fileobj=file)
        entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o600, 0, 0, "", ""
        entry.type, entry.linkname = tarfile.REGTYPE, ""  # blobs may share an inode
        entry.size = path.stat().st_size
        reader = _Summed(file)
        tar.addfile(entry, reader)
        sums[name] = reader.sha256


class _Summed:
    """Reads, and knows the SHA-256 of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sum = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._sum.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()


def _unpacked(source: Path, folder: Path, *, keep: bool) -> Backup:
    """Every file with the SHA-256 that was written down, and a sound database.

    `keep`: unpack all into the folder; else only the database, to be checked. Raises StorageError.
    """
    sums: dict[str, str] = {}
    told: dict[str, Any] | None = None
    size = 0
    try:
        with tarfile.open(source, "r:") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isreg() else None
                if file is None or not _inside(entry.name):
                    raise StorageError(f"{source}: {entry.name} does not belong in a backup")
                if entry.name == MANIFEST:
                    told = json.load(file)
                    continue
                wanted = keep or entry.name.startswith(DATABASE)
                sums[entry.name] = _taken(file, folder / entry.name if wanted else None)
                size += entry.size
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise StorageError(f"{source}: is no backup, or damaged: {error}") from error
    if told is None or told.get("sha256") != sums:
        raise StorageError(f"{source}: is damaged: its files are not those that were written down")
    (copied,) = (folder / DATABASE).iterdir()
    copies.check(copied)
    return Backup(source, len(sums), size)


def _inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    known = name == MANIFEST or name.startswith((DATABASE, DATA))
    return known and ".." not in parts and not name.startswith("/")


def _taken(file: IO[bytes], target: Path | None) -> str:
    reader = _Summed(file)
    if target is None:
        while reader.read(CHUNK):
            pass
        return reader.sha256
    private_folder(target.parent)
    with target.open("xb") as made:
        target.chmod(0o600)
        shutil.copyfileobj(reader, made, CHUNK)
    return reader.sha256
