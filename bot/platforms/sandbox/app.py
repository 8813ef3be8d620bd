"""The network as one ASGI application: routing, sessions, images, faults and the journal."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from bot.platforms.sandbox import direct, login, publishing, reading
from bot.platforms.sandbox.faults import Fault
from bot.platforms.sandbox.journal import SeenRequest
from bot.platforms.sandbox.net import Answer, Call, Network, Refusal, Route, fail

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ROUTES = [*login.routes.all, *reading.routes.all, *publishing.routes.all, *direct.routes.all]
_MEDIA_HOSTS = (".cdninstagram.com", ".fbcdn.net")
_MAX_BODY = 32 * 1024 * 1024
_NEWS_S = 0.2
_FLUSH_S = 0.1  # time for a first half to leave before its connection is cut
_LEAVE_S = 2.0


class Dropper(Protocol):
    def drop(self, upstream_local_port: int) -> bool: ...


class App:
    """Serves the TLS port (all hosts) and the media port (images only)."""

    def __init__(self, net: Network, dropper: Dropper, media_port: int) -> None:
        self._net = net
        self._dropper = dropper
        self._media_port = media_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        started = time.monotonic()
        call = await read_call(scope, receive)
        on_media_port = scope["server"][1] == self._media_port
        route, groups = (None, {}) if on_media_port else _route(call)

        def real() -> Answer:
            return self._answer(call, route, groups, on_media_port)

        fault = self._net.faults.take(call.path, route.write if route else "")
        try:
            answer = real() if fault is None else await self._faulty(fault, real, receive)
        except Exception:
            self._log(call, started, 500, "")
            raise
        broken = fault is not None and fault.kind in ("drop", "stall", "truncated")
        # before the answer leaves: whoever got it finds it in the journal
        status = 0 if answer is None or broken else answer.status
        self._log(call, started, status, fault.kind if fault else "")
        if answer is None:
            return
        if broken:
            await self._cut(call, answer, receive, send)
        else:
            await send_answer(send, answer)

    async def _faulty(
        self, fault: Fault, real: Callable[[], Answer], receive: Receive
    ) -> Answer | None:
        """What a faulty request gets; None when the client left first."""
        applied = real() if fault.after else None
        if fault.kind in ("hang", "stall"):
            if not await _hang(fault, receive):
                return None
            return Answer() if fault.kind == "stall" else applied or real()
        canned = fault.answer()
        if canned is not None:
            status, headers, body = canned
            return Answer(status, body, headers)
        if applied is None or fault.kind == "drop":
            return Answer()
        if fault.kind == "cut_json":
            return Answer(applied.status, applied.body[: len(applied.body) // 2], applied.headers)
        return applied

    def _log(self, call: Call, started: float, status: int, fault: str) -> None:
        user = call.actor.username if call.actor else ""
        seen = SeenRequest(call.host, call.method, call.path, call.http, status, user, fault)
        self._net.journal.request(seen, started)

    def _answer(
        self, call: Call, route: Route | None, groups: dict[str, str], on_media_port: bool
    ) -> Answer:
        if on_media_port or call.host.endswith(_MEDIA_HOSTS):
            return self._image(call)
        self._authenticate(call)
        if route is None:
            return fail(404, "Not found: the loopback network has no such endpoint")
        if call.actor is None and not route.open:
            return fail(403, "login_required", error_title="You have been logged out")
        try:
            return route.handler(self._net, call, **groups)
        except Refusal as refusal:
            return refusal.answer

    def _authenticate(self, call: Call) -> None:
        headers = call.headers
        pk = self._net.sessions.person_of(
            headers.get("authorization", ""), headers.get("cookie", "")
        )
        call.actor = self._net.world.people.get(pk)

    def _image(self, call: Call) -> Answer:
        key = call.path.removeprefix("/m/").removesuffix(".jpg")
        try:
            body = self._net.gallery.read(key)
        except KeyError:
            return Answer(404, b"not found", {"content-type": "text/plain"})
        return Answer(200, body, {"content-type": "image/jpeg", "cache-control": "max-age=86400"})

    async def _cut(self, call: Call, answer: Answer, receive: Receive, send: Send) -> None:
        """Break the connection, after half an answer or with none at all.

        Through the proxy the TCP connection is aborted. On the media port there is no proxy: there
        the server closes after fewer bytes than it announced.
        """
        half = answer.body[: len(answer.body) // 2]
        direct_media = call.host.startswith("127.0.0.1")
        if answer.body or direct_media:
            await send(_start(answer, max(1, len(answer.body))))
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await asyncio.sleep(_FLUSH_S)
        if not direct_media and not self._dropper.drop(call.client_port):
            raise RuntimeError("a connection to be dropped did not come through the proxy")
        if not direct_media:
            await _until_gone(receive, _LEAVE_S)


async def _hang(fault: Fault, receive: Receive) -> bool:
    """Wait until released or the time is over; False when the client left first."""
    gone = asyncio.ensure_future(_until_gone(receive, None))
    deadline = time.monotonic() + fault.seconds if fault.seconds is not None else None
    try:
        while not fault.released.is_set() and not gone.done():
            if deadline is not None and time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.02)
        # Who gave up just before the release has left, even if the news is still on its way here.
        await asyncio.wait([gone], timeout=_NEWS_S)
        return not gone.done()
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _until_gone(receive: Receive, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return  # it did not leave in time; the caller goes on


def _route(call: Call) -> tuple[Route | None, dict[str, str]]:
    for route in _ROUTES:
        if route.method == call.method and (match := route.pattern.fullmatch(call.path)):
            return route, {k: v for k, v in match.groupdict().items() if v is not None}
    return None, {}


async def read_call(scope: Scope, receive: Receive) -> Call:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > _MAX_BODY:
            break
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    query = urllib.parse.parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True)
    return Call(
        host=headers.get("host", "").lower(),
        method=scope["method"],
        path=scope["path"],
        query=dict(query),
        headers=headers,
        body=bytes(body),
        http=scope["http_version"],
        client_port=scope["client"][1],
    )


async def send_answer(send: Send, answer: Answer) -> None:
    await send(_start(answer, len(answer.body)))
    await send({"type": "http.response.body", "body": answer.body})


def _start(answer: Answer, length: int) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [*_encoded(answer.headers), (b"content-length", str(length).encode())],
    }


def _encoded(headers: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in headers.items():
        yield key.encode("latin-1"), value.encode("latin-1")


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
