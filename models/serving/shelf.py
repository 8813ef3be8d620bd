"""The stored official weights, and whether they are unchanged.

HOME/official/NAME/{FILE…, manifest.json}. The manifest has the SHA-256 of each file: from the
catalogue, from an option, or from the first download. A first download is trusted; every later file
must be the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from models.base import WeightsError
from models.serving.catalogue import CATALOGUE, File, Pack
from models.serving.packs import Weights

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """A downloaded file. `trust`: catalogue, option, or first download."""

    sha256: str
    bytes: int
    trust: str
    url: str = ""


class Shelf:
    """`home`: the folder of all networks in the data folder. Reading creates no folders."""

    def __init__(self, home: Path, pack: Pack) -> None:
        self.pack = pack
        self.folder = home / "official" / pack.name

    def path(self, file: File) -> Path:
        return self.folder / file.name

    def records(self) -> dict[str, Record]:
        """The files by name. Raises WeightsError if the manifest is damaged."""
        path = self.folder / "manifest.json"
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): Record(**entry) for name, entry in said.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{path} cannot be read: {error!r}. Remove it and pull {self.pack.name} again"
            ) from error

    def record(self, file: File, record: Record) -> None:
        """Record a file permanently. One process at a time. Raises OSError."""
        records = self.records() | {file.name: record}
        known = {name: asdict(entry) for name, entry in records.items()}
        text = json.dumps(known, indent=2, sort_keys=True) + "\n"
        part = self.folder / ".manifest.json.part"  # one name: the next one writes over what failed
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
            new.write(text.encode())
            new.flush()
            os.fsync(new.fileno())
        part.replace(self.folder / "manifest.json")

    def present(self) -> list[tuple[File, Record]]:
        """The downloaded files of this pack. Raises WeightsError if one is missing."""
        records = self.records()
        found = []
        for wanted in self.pack.files:
            names = [file for file in (wanted, wanted.instead) if file and file.name in records]
            if not names or not self.path(names[0]).is_file():
                raise WeightsError(
                    f"{self.pack.name} is not here: `tagecho models pull {self.pack.name}`, or put "
                    f"{wanted.name} into {self.folder} and pull then: it is only recorded"
                )
            found.append((names[0], records[names[0].name]))
        return found

    def weights(self) -> Weights:
        """The verified pack; its path is that of the weights. Raises WeightsError."""
        present = self.present()
        for file, record in present:
            path = self.path(file)
            found = _sum_of(path, *_stamp(path))
            if found != record.sha256 or (file.sha256 and found != file.sha256):
                expected = file.sha256 or record.sha256
                raise WeightsError(
                    f"{path} is damaged: sha256 {found[:12]}…, expected {expected[:12]}…. "
                    f"Remove it and pull {self.pack.name} again"
                )
        sums = [record.sha256 for _, record in present]
        whole = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
        return Weights(self.path(present[-1][0]), self.pack.name, whole, {})


def official_weights(name: str, home: Path | None) -> Weights:
    """The weights of a pack, verified. Raises WeightsError if they are missing or damaged."""
    if home is None:
        raise WeightsError(f"{name}: there is no folder of networks")
    return Shelf(home, CATALOGUE[name]).weights()


def sum_of(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@cache
def _sum_of(path: Path, _size: int, _changed: int) -> str:
    """Hash a file once for each size and time of change; it may have hundreds of megabytes."""
    try:
        return sum_of(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
