"""Before everything else: is the request for us, from us, and what must every answer say?

A page of another site may resolve its own name to 127.0.0.1 and ask us (DNS rebinding). A number
cannot be resolved to anything else, so numbers and `localhost` are trusted, and the names in
[console] hosts; no other name is answered. What changes something must come from a page of ours, or
from a program, which sends no origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LARGEST = 32_000_000  # bytes of a request: an image to search by, with room to spare

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex, nofollow",
}


class ConsoleGuard:
    """ASGI middleware. `hosts`: the names that are answered beside numbers and localhost."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        state = scope.setdefault("state", {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "cookie" in state:  # a session that began with this request
                    headers.append("set-cookie", state["cookie"])
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refused(scope["method"], Headers(scope=scope))
        if refused is None:
            await self._app(scope, receive, with_headers)
        else:
            status, why = refused
            answer = PlainTextResponse(f"{why}\n", status)
            await answer(scope, receive, with_headers)

    def _refused(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Status and reason; None for what is let through."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "not for this host: name it in [console] hosts, if it is meant"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and not _same(origin, host):
            return 403, "pages of other sites cannot ask for this"
        foreign = site not in ("none", "same-origin")
        if foreign and (method not in SAFE or headers.get("sec-fetch-mode") != "navigate"):
            return 403, "pages of other sites cannot ask for this"
        if _size(headers) > LARGEST:
            return 413, f"more than {LARGEST // 1_000_000} MB"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or name in self._hosts or _is_number(name)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same(origin: str, host: str) -> bool:
    """Whether a page of this origin is one of ours; "null" never is."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()


def _size(headers: Headers) -> int:
    """As it is said; what is sent without a length is bounded where it is read."""
    said = headers.get("content-length", "0")
    return int(said) if said.isascii() and said.isdigit() else 0
