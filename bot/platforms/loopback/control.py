"""What another process asks a loopback network while it runs: how it goes, and how fast."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from bot.platforms.loopback.crowd import Crowd

Order = Callable[[dict[str, Any]], dict[str, Any]]


class Control:
    """GET, or POST with a JSON body, on a free port of loopback. `orders`: by path.

    with Control({"/rate": lambda said: {"rate": said["rate"]}}) as control:
        print(control.base)
    """

    def __init__(self, orders: Mapping[str, Order]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(orders))
        self._server.daemon_threads = True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def orders(crowd: Crowd, replies_of_bot: Callable[[], Mapping[str, int]]) -> dict[str, Order]:
    """How many posts there are, how many replies to each, and how fast the people post."""

    def world(_: dict[str, Any]) -> dict[str, Any]:
        return {"posts": crowd.posted, "rate": crowd.rate}

    def replies(_: dict[str, Any]) -> dict[str, Any]:
        counts = replies_of_bot()
        return {"by_source": counts, "duplicates": sum(counts.values()) - len(counts)}

    def rate(said: dict[str, Any]) -> dict[str, Any]:
        crowd.rate = max(0.0, float(said["rate"]))
        return {"rate": crowd.rate}

    return {f"/{one.__name__}": one for one in (world, replies, rate)}


def _handler(orders: Mapping[str, Order]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            self._answer(json.loads(self.rfile.read(size) or b"{}"))

        def _answer(self, said: dict[str, Any]) -> None:
            order = orders.get(self.path)
            if order is None:
                self.send_error(404)
                return
            body = json.dumps(order(said)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    return Handler
