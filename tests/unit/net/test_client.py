"""Where a request may lead: names, numbers, and what a name leads to when it is connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import Refused, Unavailable
from bot.net.guarded import LONGEST_WAIT, Client, Reach, chunks, retry_after
from tests.weights_server import Served, certificate, serving

PUBLIC = "93.184.215.14"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(certificate(tmp_path)[1]) as server:
        server.files["/x"] = b"bytes"
        yield server


def client(reach: Reach, proxy: str = "") -> Client:
    proxies = {"https": proxy} if proxy else {}
    return Client(reach, proxies=lambda _: proxies, ca_file=None, timeout=5, redirects=0)


def leading(monkeypatch: pytest.MonkeyPatch, port: int, *answers: tuple[str, ...]) -> list[str]:
    """A name service that gives these addresses, one answer after the other; what it was asked."""
    asked: list[str] = []

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    "answers",
    [
        (("127.0.0.1",),),
        (("127.0.0.1", PUBLIC),),
        ((PUBLIC, "127.0.0.1"),),
        ((PUBLIC,), ("127.0.0.1",)),  # public when it is asked, private when it is connected to
    ],
)
def test_a_name_does_not_lead_to_a_private_network(
    served: Served, monkeypatch: pytest.MonkeyPatch, answers: tuple[tuple[str, ...], ...]
) -> None:
    port = urlsplit(served.base).port or 0
    asked = leading(monkeypatch, port, *answers)
    with (
        pytest.raises(Refused, match="private network"),
        client(Reach()).get(f"https://images.example:{port}/x"),
    ):
        pass
    assert len(asked) == len(answers)
    assert served.requests == []


def test_a_proxy_resolves_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = leading(monkeypatch, 9, ("127.0.0.1",))
    through = client(Reach(), proxy="http://127.0.0.1:9")
    with (
        pytest.raises(Unavailable, match=r"images\.example"),
        through.get("https://images.example/"),
    ):
        pass
    assert asked == ["127.0.0.1"], "the proxy, and nothing else"
    with pytest.raises(Refused, match="private"), through.get("https://10.0.0.1/"):
        pass


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with (
        pytest.raises(Unavailable, match="cannot be found"),
        client(Reach()).get("https://x.example/"),
    ):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_host_of_our_own_may_be_private(host: str) -> None:
    """With or without TLS; nobody listens at this port."""
    own = client(Reach((), frozenset({f"{host}:9"})))
    for scheme in ("http", "https"):
        with pytest.raises(Unavailable, match="broke off"), own.get(f"{scheme}://{host}:9/x"):
            pass
    for other in (f"http://{host}:8/x", f"https://{host}/x", f"ftp://{host}:9/x"):
        with pytest.raises(Refused), own.get(other):
            pass


def test_the_body_is_bounded() -> None:
    with serving() as plain:
        plain.files["/x"] = b"x" * 1000
        host = urlsplit(plain.base).netloc
        own = client(Reach((), frozenset({host})))
        with own.get(f"{plain.base}/x") as response:
            assert b"".join(chunks(response, 1000)) == b"x" * 1000
        for stated in (True, False):
            plain.lengths = stated
            with (
                own.get(f"{plain.base}/x") as response,
                pytest.raises(Refused, match="more than 999"),
            ):
                list(chunks(response, 999))
        own.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("9" * 400, LONGEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sat, 32 Feb 2026 25:61:61 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        ("-5", None),
        ("nan", None),
        ("1e400", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_bounded_and_never_raises(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


@given(st.text(max_size=60))
def test_retry_after_of_anything(header: str) -> None:
    found = retry_after(header)
    assert found is None or 0 <= found <= LONGEST_WAIT


def test_a_stated_length_of_thousands_of_digits(served: Served) -> None:
    answer = requests.Response()
    answer.headers["content-length"] = "9" * 5000
    answer.url = "https://example.com/x"
    with pytest.raises(Refused):
        next(chunks(answer, 1000))
