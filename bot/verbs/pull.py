"""`tagecho models pull`: download official weights, check them and record their SHA-256."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from bot.config import Settings
from bot.core.errors import (
    ModelError,
    NetworkError,
    RateLimited,
    StorageError,
    TargetGone,
    UsageError,
)
from bot.core.folders import private_folder
from bot.net.fetch import Fetcher, Progress
from bot.service.app import networks_of
from models.base import WeightsError
from models.serving.catalogue import CATALOGUE, File, Pack
from models.serving.shelf import Record, Shelf, sum_of

_SHA256 = re.compile(r"[0-9a-f]{64}")
_YES = {"1", "ON", "YES", "TRUE"}  # as the tools of the hub

Watch = Callable[[str], Progress]  # for each file, by its name


def pull(
    settings: Settings,
    name: str,
    watch: Watch,
    *,
    sha256: str = "",
    fetcher: Fetcher | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[dict[str, Any]]:
    """Every file of the pack: file, path, sha256, bytes, trust, url, fetched (false: here before).

    A file that exists already, also one placed by hand, is not downloaded, but checked. `sha256`:
    the sum that the weights must have. Raises UsageError, ModelError, NetworkError, StorageError.
    """
    pack, pin = _pack(name), _pin(name, sha256)
    shelf = Shelf(networks_of(settings), pack)
    try:
        private_folder(settings.data.dir)
        private_folder(shelf.folder)
        with FileLock(shelf.folder / ".lock", timeout=0):
            puller = _Puller(settings, shelf, watch, fetcher, _offline(settings, environ))
            last = pack.files[-1]
            return [puller.get(file, pin if file is last else "") for file in pack.files]
    except Timeout as error:
        raise ModelError(f"another process is pulling {name}") from error
    except WeightsError as error:
        raise ModelError(str(error)) from error
    except OSError as error:
        raise StorageError(f"{shelf.folder}: {error.strerror or error}") from error


class _Puller:
    def __init__(
        self,
        settings: Settings,
        shelf: Shelf,
        watch: Watch,
        fetcher: Fetcher | None,
        offline: str,
    ) -> None:
        self._mirror = settings.models.mirror
        self._shelf, self._watch, self._offline = shelf, watch, offline
        self._fetcher = fetcher or Fetcher(urlsplit(self._mirror).netloc)

    def get(self, wanted: File, pin: str) -> dict[str, Any]:
        """One file, or the alternative one."""
        for file in (wanted, wanted.instead):
            if file is not None and self._shelf.path(file).is_file():
                return self._note(file, pin, sum_of(self._shelf.path(file)))
        try:
            return self._fetch(wanted, pin)
        except TargetGone:
            if wanted.instead is None:
                raise
            return self._fetch(wanted.instead, pin)

    def _fetch(self, file: File, pin: str) -> dict[str, Any]:
        path = self._shelf.path(file)
        url = f"{self._mirror}/{self._shelf.pack.name}/{file.name}" if self._mirror else file.url
        by_hand = (
            f"Download {url} by other means, put it at {path}, and pull {self._shelf.pack.name} "
            "again: a file that exists is only checked and recorded"
        )
        if self._offline:
            raise ModelError(f"{file.name} is not here, and {self._offline}. {by_hand}")
        expected, _ = self._expected(file, pin)
        try:
            found = self._fetcher.fetch(
                url, path, file.most_bytes, expected, self._watch(file.name)
            )
        except (NetworkError, RateLimited) as error:
            raise type(error)(f"{str(error).rstrip('?.')}. {by_hand}") from error
        return self._note(file, pin, found, url)

    def _expected(self, file: File, pin: str) -> tuple[str, str]:
        """The SHA-256 that it must have ("": any), and the source of this sum."""
        if pin:
            return pin, "option"
        if file.sha256:
            return file.sha256, "catalogue"
        known = self._shelf.records().get(file.name)
        return (known.sha256, known.trust) if known else ("", "first download")

    def _note(self, file: File, pin: str, found: str, url: str = "") -> dict[str, Any]:
        expected, trust = self._expected(file, pin)
        path = self._shelf.path(file)
        if expected and found != expected:
            raise ModelError(
                f"{path} is a different file: sha256 {found}, expected {expected}. Remove it "
                f"and pull {self._shelf.pack.name} again"
            )
        path.chmod(0o600)
        before = self._shelf.records().get(file.name)
        source = url or (before.url if before else "")
        record = Record(found, path.stat().st_size, trust, source)
        self._shelf.record(file, record)
        return {"file": file.name, "path": str(path), "fetched": bool(url)} | asdict(record)


def _pack(name: str) -> Pack:
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UsageError(
            f"no official network {name!r}; there are {', '.join(CATALOGUE)}"
        ) from None


def _pin(name: str, sha256: str) -> str:
    pin, known = sha256.strip().lower(), CATALOGUE[name].files[-1].sha256
    if pin and not _SHA256.fullmatch(pin):
        raise UsageError("--sha256 needs 64 hexadecimal digits")
    if pin and known and pin != known:
        raise UsageError(f"the sha256 of {name} is known to be {known}")
    return pin


def _offline(settings: Settings, environ: Mapping[str, str]) -> str:
    """Why downloads are forbidden; empty if they are allowed."""
    if settings.models.offline:
        return "[models] offline = true"
    if environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
        return "HF_HUB_OFFLINE is set"
    return ""
