"""A browser's cookies, as extensions and download tools write them: Netscape's cookies.txt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import UsageError

_HTTP_ONLY = "#HttpOnly_"  # before the host of a cookie that scripts may not see
_LONGEST = 5_000_000  # bytes: no browser keeps so many


@dataclass(frozen=True, slots=True)
class Cookie:
    host: str
    name: str
    value: str
    until: float  # seconds since 1970; 0: as long as the browser runs


def cookie_of(path: Path, site: str, name: str) -> str:
    """The value of a cookie that this site (`example.org`) or a host of it set.

    Raises UsageError for a file that cannot be read, and for a cookie that is missing or expired;
    no message quotes a value.
    """
    found = [one for one in _read(path) if one.name == name and _is_of(one.host, site)]
    if not found:
        raise UsageError(f"{path}: has no cookie {name} of {site}: log in there first")
    fresh = [one for one in found if not 0 < one.until <= time.time()]
    if not fresh:
        raise UsageError(f"{path}: the cookie {name} of {site} is expired: log in there again")
    return fresh[-1].value


def _read(path: Path) -> list[Cookie]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LONGEST)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text") from None
    lines = [line.removeprefix(_HTTP_ONLY) for line in text.splitlines()]
    said = [line for line in lines if line.strip() and not line.startswith("#")]
    cookies = [cookie for line in said if (cookie := _cookie(line)) is not None]
    if len(cookies) < len(said):
        raise UsageError(f"{path}: is no cookies.txt (seven fields in a line, tabs between them)")
    return cookies


def _cookie(line: str) -> Cookie | None:
    fields = line.split("\t")
    if len(fields) != 7:
        return None
    host, _subdomains, _path, _secure, until, name, value = fields
    try:
        return Cookie(host, name, value.strip(), float(until or 0))
    except ValueError:
        return None


def _is_of(host: str, site: str) -> bool:
    host = host.removeprefix(".").lower()
    return host == site or host.endswith(f".{site}")
