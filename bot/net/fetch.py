"""Large files over HTTPS: resumed after a break, bounded, and checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from bot.core.errors import ModelError, Refused, StorageError, Unavailable
from bot.net.guarded import Client, Reach, chunks, host_of, judge

Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: unknown)

_REDIRECTS = 5
_TIMEOUT = 30.0  # seconds without a byte
_FILE = (200, 206, 416)  # a file, a part of one, and: the part that was asked for is no more
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Partial:
    """What is known of a file that is not whole yet. Without a `mark` it cannot be resumed."""

    url: str = ""
    mark: str = ""  # a strong ETag, else Last-Modified: for If-Range
    total: int = 0


class Fetcher:
    """From any public host, and from the one that the operator named."""

    def __init__(
        self,
        own: str = "",
        *,
        attempts: int = 5,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`own`: a mirror's host, with its port if any; see `Reach`."""
        self._attempts, self._wait = attempts, wait
        self._client = Client(
            Reach(own=frozenset({own.lower()} - {""})),
            proxies=get_environ_proxies,
            ca_file=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
            timeout=_TIMEOUT,
            redirects=_REDIRECTS,
        )

    def fetch(
        self, url: str, target: Path, most_bytes: int, sha256: str, progress: Progress
    ) -> str:
        """Put `url` at `target`, whole or not at all, with mode 0600; its SHA-256.

        What a break leaves behind is `.NAME.part`, and the next call goes on with it, if the server
        still has the same file and can. `sha256`: what it must be; "" for anything. Raises
        TargetGone, Refused, Unavailable, RateLimited, StorageError, and ModelError when the bytes
        are others than `sha256` says: they are thrown away then.
        """
        part = target.with_name(f".{target.name}.part")
        try:
            part.touch(0o600)
            self._persist(url, part, most_bytes, progress)
            found = _sum(part)
            if sha256 and found != sha256:
                _forget(part)
                raise ModelError(
                    f"{target.name} from {urlsplit(url).hostname} is not what it should be: "
                    f"sha256 {found}, expected {sha256}. It was thrown away"
                )
            part.chmod(0o600)
            part.replace(target)
        except OSError as error:
            raise StorageError(f"{target}: {error.strerror or error}") from error
        _forget(part)
        return found

    def _persist(self, url: str, part: Path, most_bytes: int, progress: Progress) -> None:
        """Until it is whole; given up after so many attempts that brought nothing new."""
        furthest, failed = part.stat().st_size, 0
        while True:
            try:
                self._download(url, part, most_bytes, progress)
                return  # noqa: TRY300 - the loop is what is tried
            except Unavailable:
                size = part.stat().st_size
                failed = 0 if size > furthest else failed + 1
                furthest = max(furthest, size)
                if failed >= self._attempts:
                    raise
                self._wait(2**failed)

    def _download(self, url: str, part: Path, most_bytes: int, progress: Progress) -> None:
        """Go on with `part` where that is safe, else begin anew."""
        known = _read_note(part)
        have = part.stat().st_size if known.url == url and known.mark else 0
        headers = {"Range": f"bytes={have}-", "If-Range": known.mark} if have else {}
        with self._client.get(url, headers) as response:
            judge(response, _FILE, Refused)
            begin = _begin(response, have, known)
            if begin is not None:
                total = _total(response, begin, most_bytes)
                _write_note(part, Partial(url, _mark(response), total))
                self._write(response, part, begin, total, most_bytes, progress)
                return
        _forget_note(part)
        self._download(url, part, most_bytes, progress)

    def _write(
        self,
        response: requests.Response,
        part: Path,
        begin: int,
        total: int,
        most_bytes: int,
        progress: Progress,
    ) -> None:
        done = begin
        with part.open("r+b") as file:
            file.truncate(begin)
            file.seek(begin)
            for chunk in chunks(response, most_bytes - begin):
                done += len(chunk)
                file.write(chunk)
                progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        if done < total:
            raise Unavailable(f"{host_of(response.url)}: broke off at {done} of {total} bytes")


def _begin(response: requests.Response, have: int, known: Partial) -> int | None:
    """From which byte on the answer counts: 0 for a whole file, as a server sends that knows no
    Range, or has another file by now. None: what is there and what came do not fit.
    """
    if response.status_code == 200:
        return 0
    if not have:
        raise Refused(f"{host_of(response.url)}: HTTP {response.status_code} to a plain request")
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    same = _mark(response) in ("", known.mark) and known.total in (0, int(found[3]) if found else 0)
    return have if found and same and int(found[1]) == have else None


def _total(response: requests.Response, begin: int, most_bytes: int) -> int:
    """The size of the whole file; 0 when it is unknown, but its end will be marked."""
    stated = response.headers.get("content-length", "")
    if not stated.isdecimal():
        if "chunked" not in response.headers.get("transfer-encoding", "").lower():
            raise Refused(f"{host_of(response.url)}: does not say how large the file is")
        return 0
    total = begin + int(stated)
    if total > most_bytes:
        raise Refused(f"{host_of(response.url)}: {total} bytes, more than {most_bytes}")
    return total


def _mark(response: requests.Response) -> str:
    """What If-Range takes: a strong ETag, else the date. Empty when there is neither."""
    etag = response.headers.get("etag", "")
    return etag if etag.startswith('"') else response.headers.get("last-modified", "")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> Partial:
    try:
        return Partial(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Partial()


def _write_note(part: Path, known: Partial) -> None:
    _note(part).write_text(json.dumps(asdict(known)), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _forget_note(part)


def _forget_note(part: Path) -> None:
    _note(part).unlink(missing_ok=True)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
