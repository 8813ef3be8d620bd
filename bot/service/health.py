"""/healthz, /readyz and /metrics over plain HTTP, on loopback unless configured otherwise."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.core.errors import TagechoError
from bot.net.addresses import is_loopback
from bot.service.observe import REGISTRY

_MEASURING = threading.Lock()  # one at a time sets the gauges and reads them
Report = Callable[[], tuple[bool, dict[str, Any]]]


class HealthServer:
    """Answers in a thread of its own. `alive` and `ready` give (fine?, details); `measure` is
    called before the metrics are read.

    Raises TagechoError when the address is taken.
    """

    def __init__(
        self,
        address: tuple[str, int],
        alive: Report,
        ready: Report,
        measure: Callable[[], None] = lambda: None,
    ) -> None:
        asked = {"alive": alive, "ready": ready, "measure": staticmethod(measure)}
        handler = type("Handler", (_Handler,), asked)
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            server = type("Server", (ThreadingHTTPServer,), {"address_family": family})
            self._server: ThreadingHTTPServer = server(address, handler)
        except OSError as error:
            host, port = address
            raise TagechoError(f"health.listen: {host}:{port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    alive: Report
    ready: Report
    measure: Callable[[], None]
    timeout = 10  # a client that says nothing does not hold a thread for ever

    def do_GET(self) -> None:
        if not self._is_for_us():
            self._answer(421, "text/plain", b"not for this host\n")
            return
        path = self.path.partition("?")[0]
        if path == "/metrics":
            with _MEASURING:
                type(self).measure()
                text = generate_latest(REGISTRY)
            self._answer(200, CONTENT_TYPE_LATEST, text)
        elif path in ("/healthz", "/readyz"):
            kind = type(self)
            fine, details = (kind.alive if path == "/healthz" else kind.ready)()
            body = json.dumps({"ok": fine, **details}, default=str).encode()
            self._answer(200 if fine else 503, "application/json", body)
        else:
            self._answer(404, "text/plain", b"not found\n")

    def _is_for_us(self) -> bool:
        """On loopback, a page of another site that resolves its name to us is refused."""
        if not is_loopback(str(self.connection.getsockname()[0])):
            return True  # the operator opened it to other machines, which have names for us
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            return False
        return host is not None and is_loopback(host)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds; their lines would bury the rest."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
