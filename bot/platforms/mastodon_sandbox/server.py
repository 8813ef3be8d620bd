"""The loopback Mastodon, started and stopped as one thing."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from bot.platforms.mastodon_sandbox.faults import ANSWERS, Fault, Faults
from bot.platforms.mastodon_sandbox.rest import Answer, Call, Refusal, Rest
from bot.platforms.mastodon_sandbox.world import Notification, World

BOT = "imagebot"
TOKEN = "loopback-token"  # noqa: S105 - opens nothing but this network
OPEN = ("app", "file", "instance", "token")  # endpoints for everybody
_HEARTBEAT = 5.0  # seconds
_PERIOD = 300.0  # seconds of the general limit


class Mastodon:
    """One server on this machine, in threads of this process.

        with Mastodon() as network:
            client = mastodon.Mastodon(api_base_url=network.base, access_token=network.token)

    It starts with the bot's account alone. `left`: requests until the limit of five minutes is
    reached; None: there is no end.
    """

    def __init__(
        self,
        *,
        bot: str = BOT,
        token: str = TOKEN,
        domain: str = "fedi.example",
        page_size: int = 40,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.username, self.token = bot, token
        self.world = World(domain, clock)
        self.faults = Faults()
        self.requests: list[tuple[str, int]] = []  # endpoint and status, in order
        self.left: int | None = None
        self.world.join(bot, bot=True)
        self.world.tokens[token] = bot
        self._page_size, self._port = page_size, port
        self._server: _Server | None = None
        self._rest: Rest | None = None

    @property
    def server(self) -> str:
        """Host and port, as the settings have it."""
        return f"127.0.0.1:{self._port}"

    @property
    def base(self) -> str:
        return f"http://{self.server}"

    @property
    def rest(self) -> Rest:
        if self._rest is None:
            raise RuntimeError("it was never started")
        return self._rest

    def fail(self, kind: str, where: str = "", **options: Any) -> Fault:
        return self.faults.put(Fault(kind, where, **options))

    @property
    def uploads(self) -> int:
        """How many images somebody sent that were not there from the start."""
        with self.world.lock:
            return sum(one.sent for one in self.world.images.values())

    def asked(self, where: str) -> int:
        """How many requests an endpoint had."""
        return sum(name == where for name, _ in list(self.requests))

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        if self._rest is None:
            self._rest = Rest(self.world, self.base, self._page_size)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection; what there is stays, for another start."""
        if self._server is None:
            return
        self.faults.clear()
        self.world.end_streams()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], network: Mastodon) -> None:
        self.network = network
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):  # it is gone already
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing: `requests` has it."""

    def do_GET(self) -> None:
        network = self.server.network
        parts = urlsplit(self.path)
        call = Call(
            self.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("content-length") or 0)),
        )
        name = ""
        try:
            name, real = network.rest.route(call)
            self._authenticate(call, name)
            answer = self._faulty(network.faults.take(name), real)
        except Refusal as refusal:
            answer = Answer({"error": refusal.error}, refusal.status)
        if answer is None:
            network.requests.append((name, 0))
            self.close_connection = True
            return
        network.requests.append((name, answer.status))
        if name == "stream" and answer.status == 200:
            self._stream(str(answer.body))
        else:
            self._send(answer)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names are those of the base class

    def _authenticate(self, call: Call, name: str) -> None:
        world, token = self.server.network.world, call.headers.get("authorization", "")
        call.person = world.people.get(world.tokens.get(token.removeprefix("Bearer "), ""))
        if call.person is None and name not in OPEN:
            raise Refusal(401, "The access token is invalid")
        network = self.server.network
        if network.left is not None and name != "file":
            if network.left <= 0:
                raise Refusal(429, "Too many requests")
            network.left -= 1

    def _faulty(self, fault: Fault | None, real: Callable[[], Answer]) -> Answer | None:
        """What the client gets; None: the connection breaks."""
        if fault is None:
            return real()
        done = real() if fault.after else None
        if fault.kind == "hang":
            fault.released.wait()
            return None
        if fault.kind == "drop":
            return None
        if fault.kind == "html":
            return Answer(b"<!DOCTYPE html><title>Sorry</title>")
        del done
        status, error = ANSWERS[fault.kind]
        headers = {}
        if status == 429:
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": _at(fault.seconds)}
        return Answer({"error": error}, status, headers)

    def _send(self, answer: Answer) -> None:
        is_file = isinstance(answer.body, bytes)
        body = answer.body if is_file else json.dumps(answer.body).encode()
        kind = "image/jpeg" if is_file else "application/json; charset=utf-8"
        self.send_response(answer.status)
        for name, value in (self._limits() | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _limits(self) -> dict[str, str]:
        left = self.server.network.left
        said = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "299"}
        if left is not None:
            said["X-RateLimit-Remaining"] = str(max(0, left))
        return said | {"X-RateLimit-Reset": _at(_PERIOD)}

    def _stream(self, topic: str) -> None:
        network = self.server.network
        events = network.world.listen(topic)
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._chunk(":)\n")
            while True:
                try:
                    event = events.get(timeout=_HEARTBEAT)
                except queue.Empty:
                    self._chunk(":thump\n")
                    continue
                if event is None:
                    return
                self._chunk(self._event(*event))
        except OSError:
            return  # the client left
        finally:
            network.world.leave(events)
            self.close_connection = True

    def _event(self, name: str, what: Any) -> str:
        shapes = self.server.network.rest.shapes
        body = shapes.notification(what) if isinstance(what, Notification) else shapes.status(what)
        return f"event: {name}\ndata: {json.dumps(body)}\n\n"

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="milliseconds")
