"""/healthz, /readyz and /metrics: who is answered."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from bot.service.health import HealthServer


@pytest.fixture
def server() -> Iterator[HealthServer]:
    server = HealthServer(("127.0.0.1", 0), lambda: (True, {}), lambda: (False, {"why": "waits"}))
    server.start()
    yield server
    server.close()


def ask(server: HealthServer, path: str, host: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_a_name_that_somebody_else_made_point_at_us_is_refused(
    server: HealthServer, path: str
) -> None:
    for host in ("localhost:8490", f"127.0.0.1:{server.port}", "127.0.0.1", "[::1]:8490"):
        assert ask(server, path, host) == 200
    for host in ("evil.example", "127.0.0.1.evil.example:8490", "", "[::1", "10.0.0.1"):
        assert ask(server, path, host) == 421


def test_readiness_has_a_status_of_its_own(server: HealthServer) -> None:
    assert ask(server, "/readyz", "localhost") == 503
    assert ask(server, "/else", "localhost") == 404


def test_it_listens_on_ipv6() -> None:
    server = HealthServer(("::1", 0), lambda: (True, {}), lambda: (True, {}))
    server.start()
    connection = http.client.HTTPConnection("::1", server.port, timeout=60)
    try:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    finally:
        connection.close()
        server.close()
