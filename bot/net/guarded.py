"""What goes out by HTTP on somebody else's word: only to hosts it may reach, bounded, in time.

An address may come from a post or from a redirect. Neither may lead us into a private network.
"""

from __future__ import annotations

import fnmatch
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from bot.core.errors import RateLimited, Refused, TagechoError, TargetGone, Unavailable
from bot.net.addresses import is_loopback, is_private

Proxies = Callable[[str], Mapping[str, str]]  # of an address: by scheme, as `requests` takes them

LONGEST_WAIT = 7 * 86400.0  # seconds: nobody means more by Retry-After
_CHUNK = 256 * 1024
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_TRICKS = re.compile(r"[\\\s\x00-\x20\x7f-\x9f]")  # what parsers of addresses disagree about


@dataclass(frozen=True, slots=True)
class Reach:
    """Which hosts may be asked, each as "host" or "host:port", in lower case.

    Any that fits one of the patterns `hosts` ("*" stands for anything), by HTTPS, and on a public
    network. One of `own`, which the operator named, may be on a private one; if it is this machine,
    it is asked without a proxy, and plain HTTP will do.
    """

    hosts: tuple[str, ...] = ("*",)
    own: frozenset[str] = frozenset()


class Client:
    """Sends GET to hosts within `reach`. Safe across threads: each keeps its own connections."""

    def __init__(
        self,
        reach: Reach,
        *,
        proxies: Proxies,
        ca_file: str | None,
        timeout: float,
        redirects: int,
        user_agent: str | None = None,
    ) -> None:
        """`timeout`: seconds without a byte. `ca_file`: authorities instead of the usual ones."""
        self._reach = reach
        self._proxies = proxies
        self._ca_file = ca_file
        self._timeout = timeout
        self._redirects = redirects
        self._user_agent = user_agent
        self._local = threading.local()
        self._opened: list[requests.Session] = []

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[requests.Response]:
        """The answer to a GET, behind redirects, its body not yet read. Any status: see `judge`.

        Raises Refused for an address out of reach, Unavailable when nobody answers.
        """
        for _ in range(self._redirects + 1):
            response = self._send(_as_sent(url), headers)
            with response:
                if not response.is_redirect:
                    yield response
                    return
                url = _joined(response.url, response.headers["location"])
        raise Refused(f"{host_of(url)}: more than {self._redirects} redirects")

    def close(self) -> None:
        for session in self._opened:
            session.close()

    def _send(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        parts = urlsplit(url)
        own = admitted(parts, self._reach)
        proxies = {} if own and is_loopback(parts.hostname or "") else self._proxies(url)
        try:
            return self._session(own).get(
                url,
                headers=headers,
                stream=True,
                timeout=self._timeout,
                allow_redirects=False,
                proxies=dict(proxies),
            )
        except _FAILURES as error:
            raise _broke_off(url, error) from None

    def _session(self, own: bool) -> requests.Session:
        name = "own" if own else "public"
        session: requests.Session | None = getattr(self._local, name, None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no .netrc; proxies and authorities are ours to say
            session.verify = self._ca_file or True
            session.mount("https://", HTTPAdapter(max_retries=0) if own else PublicAdapter())
            session.headers["Accept-Encoding"] = "identity"
            if self._user_agent:
                session.headers["User-Agent"] = self._user_agent
            setattr(self._local, name, session)
            self._opened.append(session)
        return session


def admitted(parts: SplitResult, reach: Reach) -> bool:
    """Whether the host is one of `own`. Raises Refused when it may not be asked."""
    host, named = parts.hostname or "", parts.netloc.lower()
    own = named in reach.own
    if not own and not any(fnmatch.fnmatchcase(named, p) for p in reach.hosts):
        raise Refused(f"{named!r} is not one of the hosts that may be asked")
    if parts.scheme != "https" and not (own and parts.scheme == "http" and is_loopback(host)):
        raise Refused(f"{host}: scheme {parts.scheme!r}, only https is fetched")
    if not own and is_private(host):  # a proxy would resolve a name, but go to a number
        raise Refused(f"{host} is on a private network")
    return own


class _PublicConnection(HTTPSConnection):
    """Never to a private network, whatever a name leads to now, or led to when it was asked."""

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(f"the address of {self.host} cannot be found") from error
        for _, _, _, _, address in found:
            self._refuse_private(str(address[0]))
        connected = super()._new_conn()  # resolves the name once more
        try:
            self._refuse_private(connected.getpeername()[0])
        except Refused:
            connected.close()
            raise
        return connected

    def _refuse_private(self, address: str) -> None:
        if is_private(address):
            raise Refused(f"{self.host} is on a private network")


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


class PublicAdapter(HTTPAdapter):
    """Direct connections only: a proxy's own are the operator's choice."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}


def judge(
    response: requests.Response,
    accepted: tuple[int, ...] = (200,),
    otherwise: type[TagechoError] = Unavailable,
) -> None:
    """Raises for every status that is not `accepted`: TargetGone, RateLimited, Unavailable for the
    server's own faults, and `otherwise` for the rest."""
    status = response.status_code
    if status in accepted:
        return
    said = f"{host_of(response.url)}: HTTP {status}"
    if status in (404, 410):
        raise TargetGone(said)
    if status == 429:
        raise RateLimited(said, retry_after(response.headers.get("retry-after")))
    if status >= 500:
        raise Unavailable(said)
    raise otherwise(said)


def chunks(
    response: requests.Response,
    most_bytes: int,
    *,
    decode: bool = False,
    seconds: float = math.inf,
) -> Iterator[bytes]:
    """The body as it comes; `decode`: without the compression that nobody asked for.

    Raises Refused when there are more than `most_bytes`, Unavailable when it breaks off or takes
    more than so many `seconds`.
    """
    host, until, done = host_of(response.url), time.monotonic() + seconds, 0
    stated = response.headers.get("content-length", "")
    if stated.isdecimal() and float(stated) > most_bytes:  # int() refuses thousands of digits
        raise Refused(f"{host}: {stated} bytes, more than {most_bytes}")
    while chunk := _read(response, decode):
        done += len(chunk)
        if done > most_bytes:
            raise Refused(f"{host}: more than {most_bytes} bytes")
        if time.monotonic() > until:
            raise Unavailable(f"{host}: too slow")
        yield chunk


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header, a number or an HTTP date, in [0, LONGEST_WAIT].

    None when it says nothing that can be read.
    """
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT)


def host_of(url: str) -> str:
    """For messages, which never quote an address: it may be signed."""
    return urlsplit(url).hostname or "?"


def _read(response: requests.Response, decode: bool) -> bytes:
    """What is there: `iter_content` would wait for a whole chunk, past any deadline."""
    try:
        return bytes(response.raw.read1(_CHUNK, decode_content=decode))
    except _FAILURES as error:
        raise _broke_off(response.url, error) from None


def _broke_off(url: str, error: Exception) -> Unavailable:
    return Unavailable(f"{host_of(url)}: broke off, {type(error).__name__}")


def _as_sent(url: str) -> str:
    """The address as the HTTP library will take it apart. Raises Refused.

    Two parsers may find two hosts in one text (`https://evil.example\\@good.example/`), so what
    makes them differ is refused, and the library's own reading is the one that is judged.
    """
    try:
        if _TRICKS.search(url) or "@" in urlsplit(url).netloc:
            raise Refused("an address with odd characters or a user name")
        return requests.Request("GET", url).prepare().url or ""
    except ValueError as error:  # the library's own errors among them
        raise Refused(f"no address: {type(error).__name__}") from None


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Refused(f"{host_of(url)}: redirects to no address") from None
