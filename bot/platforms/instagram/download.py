"""Image bytes from the platform's media hosts: streamed, bounded, and only from allowed hosts.

The client's own download uses neither the proxy nor the CA of the account, and no limits.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from bot.core.errors import RateLimited, Refused, TagechoError, TargetGone, Unavailable
from bot.platforms.base import Pacer
from bot.platforms.instagram.translate import retry_after

_CHUNK = 64 * 1024
_REDIRECTS = 3
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_TRICKS = re.compile(r"[\\\s\x00-\x20\x7f-\x9f]")  # what parsers of addresses disagree about
_PATIENCE = 4  # a whole download may take this many timeouts


class Downloader:
    """`fetch` may be called from several threads at once: each keeps its own connections."""

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        proxy: str | None,
        ca_file: Path | None,
        timeout: float,
        user_agent: str | None,
        pacer: Pacer,
    ) -> None:
        self._hosts = tuple(host.lower() for host in hosts)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._ca_file = ca_file
        self._timeout = timeout
        self._user_agent = user_agent
        self._pacer = pacer
        self._local = threading.local()
        self._opened: list[requests.Session] = []

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """The bytes of `url`. Raises Refused, TargetGone, RateLimited or Unavailable."""
        self._pacer.before("media")
        try:
            body = self._follow(url, max_bytes)
        except TagechoError as error:
            self._pacer.after("media", error)
            raise
        except _FAILURES as error:
            failed = Unavailable(f"image from {urlsplit(url).hostname}: {type(error).__name__}")
            self._pacer.after("media", failed)
            raise failed from None  # the cause quotes the whole signed address
        self._pacer.after("media", None)
        return body

    def close(self) -> None:
        for session in self._opened:
            session.close()

    def _follow(self, url: str, max_bytes: int) -> bytes:
        deadline = time.monotonic() + _PATIENCE * self._timeout
        for _ in range(_REDIRECTS + 1):
            address = _as_sent(url)
            direct = self._check(address)
            with self._session(direct).get(
                address, stream=True, timeout=self._timeout, allow_redirects=False
            ) as response:
                if not response.is_redirect:
                    _judge(response)
                    return _read(response, max_bytes, deadline)
                url = urljoin(address, response.headers["location"])
        raise Refused(f"image: more than {_REDIRECTS} redirects")

    def _check(self, url: str) -> bool:
        """Whether the address may be fetched, and if so, without the proxy. Raises Refused."""
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        named = f"{host}:{port}" if port else host
        if not any(fnmatch.fnmatchcase(named, pattern) for pattern in self._hosts):
            raise Refused(f"image: host {named!r} is not in media_hosts")
        if _is_loopback(host) and named in self._hosts:
            if parts.scheme not in ("http", "https"):
                raise Refused(f"image: scheme {parts.scheme!r}")
            return True  # the machine itself: no proxy leads there
        if parts.scheme != "https":
            raise Refused(f"image: scheme {parts.scheme!r}, only https is fetched")
        if named not in self._hosts and self._is_private(host):
            raise Refused(f"image: host {host!r} is on a private network")
        return False

    def _is_private(self, host: str) -> bool:
        """Behind a proxy only literal addresses can be judged: the proxy resolves the names."""
        try:
            return not ipaddress.ip_address(host).is_global
        except ValueError:
            return not self._proxies and _resolves_privately(host)

    def _session(self, direct: bool) -> requests.Session:
        name = "direct" if direct else "proxied"
        session: requests.Session | None = getattr(self._local, name, None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = str(self._ca_file) if self._ca_file else True
            session.proxies = {} if direct else dict(self._proxies)
            session.mount("https://", HTTPAdapter(max_retries=0))
            session.headers["Accept-Encoding"] = "identity"
            if self._user_agent:
                session.headers["User-Agent"] = self._user_agent
            setattr(self._local, name, session)
            self._opened.append(session)
        return session


def _as_sent(url: str) -> str:
    """The address as the HTTP client will take it apart. Raises Refused.

    Two parsers may find two hosts in one text (`https://evil.example\\@good.example/`), so what
    makes them differ is refused, and the client's own reading is the one that is judged.
    """
    try:
        if _TRICKS.search(url) or "@" in urlsplit(url).netloc:
            raise Refused("image: an address with odd characters or a user name")
        return requests.Request("GET", url).prepare().url or ""
    except ValueError as error:  # the client's own errors among them
        raise Refused(f"image: no address: {type(error).__name__}") from None


def _judge(response: requests.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    said = f"image: HTTP {status}"
    if status == 429:
        raise RateLimited(said, retry_after(response.headers.get("retry-after")))
    if status in (404, 410):
        raise TargetGone(said)
    raise Unavailable(said)  # 403 too: the signature in the address has run out


def _read(response: requests.Response, max_bytes: int, deadline: float) -> bytes:
    stated = response.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > max_bytes:
        raise Refused(f"image: {stated} bytes, more than {max_bytes}")
    body = bytearray()
    # read1 gives what is there: `iter_content` would wait for a whole chunk, past any deadline.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise Refused(f"image: more than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise Unavailable("image: too slow")
    return bytes(body)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@functools.lru_cache(maxsize=256)
def _resolves_privately(host: str) -> bool:
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return any(not ipaddress.ip_address(address[4][0]).is_global for address in found)
