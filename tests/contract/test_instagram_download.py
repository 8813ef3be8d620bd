"""Images: the same bytes, from allowed hosts only, within limits, from several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from bot.core.errors import RateLimited, Refused, TargetGone, Unavailable
from bot.platforms.instagram.connection import Connection
from bot.platforms.instagram.download import Downloader
from bot.platforms.sandbox.server import Sandbox
from tests.contract.instagram_kit import OpenPacer, account
from tests.sandbox import no_foreign_ca

__all__ = ["no_foreign_ca"]

BODY = bytes(range(256)) * 400


class Handler(BaseHTTPRequestHandler):
    """What a media host may do to us."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, int]]] = []  # path and the client's port
    over: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.seen.append((self.path, self.client_address[1]))
        name = self.path.partition("?")[0].strip("/").split("/")[0]
        match name:
            case "ok":
                self._say(200, BODY)
            case "to":
                self._say(302, b"", location=self.path.removeprefix("/to/"))
            case "unstated":
                self._say(200, BODY, length=False)
            case "cut":
                self._say(200, BODY[:1000], stated=len(BODY))
            case "slow":
                self._say(200, b"", stated=len(BODY))
                while not self.over.wait(0.05):  # until the client has had enough
                    self.wfile.write(b"x")
            case "throttled":
                self._say(429, b"", retry_after="5")
            case _:
                self._say(int(name), b"")

    def _say(
        self, status: int, body: bytes, *, stated: int | None = None, length: bool = True,
        **headers: str,
    ) -> None:  # fmt: skip
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if length:
            self.send_header("Content-Length", str(len(body) if stated is None else stated))
        if not length or stated is not None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            return  # the client had enough, as it should

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.fixture
def host() -> Iterator[str]:
    Handler.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def downloader(*hosts: str, proxy: str | None = None, timeout: float = 5.0) -> Iterator[Downloader]:
    made = Downloader(
        hosts=hosts,
        connection=Connection(proxy=proxy, timeout=timeout, user_agent="test"),
        pacer=OpenPacer(),
    )
    yield made
    made.close()


def test_bytes_and_limits(host: str) -> None:
    with downloader(host) as media:
        assert media.fetch(f"http://{host}/ok", len(BODY)) == BODY
        for path in ("ok", "unstated"):
            with pytest.raises(Refused, match="bytes"):
                media.fetch(f"http://{host}/{path}", len(BODY) - 1)
        assert media.fetch(f"http://{host}/unstated", len(BODY)) == BODY


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("404", TargetGone),
        ("410", TargetGone),
        ("403", Unavailable),
        ("500", Unavailable),
        ("cut", Unavailable),
        ("throttled", RateLimited),
    ],
)
def test_failures(host: str, path: str, error: type[Exception]) -> None:
    with downloader(host) as media, pytest.raises(error) as caught:
        media.fetch(f"http://{host}/{path}?signature=secret", len(BODY))
    assert "secret" not in str(caught.value)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == 5


def test_a_host_that_drips_is_given_up(host: str) -> None:
    with downloader(host, timeout=0.3) as media, pytest.raises(Unavailable):
        media.fetch(f"http://{host}/slow", len(BODY))


def test_redirects_are_checked_again(host: str) -> None:
    with downloader(host) as media:
        assert media.fetch(f"http://{host}/to//ok", len(BODY)) == BODY
        for target in ("http://127.0.0.1:9/ok", "https://evil.example/x", "file:///etc/passwd"):
            with pytest.raises(Refused):
                media.fetch(f"http://{host}/to/{target}", len(BODY))
        with pytest.raises(Refused, match="redirects"):
            media.fetch(f"http://{host}/to//to//to//to//to//ok", len(BODY))


@pytest.mark.parametrize(
    "url",
    [
        "http://scontent.cdninstagram.com/a.jpg",  # not encrypted
        "https://cdninstagram.com.evil.example/a.jpg",
        "https://evil.example/?x=.cdninstagram.com",
        "https://scontent.cdninstagram.com:8443/a.jpg",  # a port that was not named
        "https://scontent.cdninstagram.com@evil.example/a.jpg",
        "https://evil.example\\@scontent.cdninstagram.com/a.jpg",  # two readings of one address
        "https://evil.example\\.cdninstagram.com/a.jpg",
        "https://scontent.cdninstagram.com\t/a.jpg",
        "https://scontent.cdninstagram.com/a b.jpg",
        "https://scontent.cdninstagram.com/\r\nX: y",
        "https://[scontent.cdninstagram.com/a.jpg",
        "ftp://scontent.cdninstagram.com/a.jpg",
        "https://10.0.0.8/a.jpg",
        "https://127.0.0.1/a.jpg",
        "https://[::1]/a.jpg",
        "https://169.254.169.254/latest/meta-data",
        "/just/a/path",
        "",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    hosts = ("*.cdninstagram.com", "10.*", "127.*", "169.*", "::*")
    with downloader(*hosts, proxy="http://127.0.0.1:9") as media, pytest.raises(Refused):
        media.fetch(url, 1000)


def test_two_readings_of_one_address_reach_nobody(host: str) -> None:
    """The host that would really be connected to is not the one that is allowed."""
    with downloader("good.example", host) as media:
        for trick in (f"http://{host}\\@good.example/ok", f"https://good.example@{host}/ok"):
            with pytest.raises(Refused, match="odd"):
                media.fetch(trick, len(BODY))
            with pytest.raises(Refused, match="odd"):
                media.fetch(f"http://{host}/to/{trick}", len(BODY))
    assert all(path.startswith("/to/") for path, _ in Handler.seen)


def test_names_that_lead_to_a_private_network() -> None:
    with downloader("local*") as media, pytest.raises(Refused, match="private"):
        media.fetch("https://localhost/a.jpg", 1000)


def test_several_threads_keep_their_connections(host: str) -> None:
    with downloader(host) as media, ThreadPoolExecutor(4) as pool:
        bodies = pool.map(lambda _: media.fetch(f"http://{host}/ok", len(BODY)), range(80))
        assert all(body == BODY for body in bodies)
    assert len({port for _, port in Handler.seen}) <= 4


@pytest.mark.parametrize("where", ["port", "cdn"])
def test_through_the_account(tmp_path: Path, where: str) -> None:
    """`cdn`: TLS with the account's CA through the account's proxy."""
    with Sandbox(tmp_path / "box", media=where) as box:  # type: ignore[arg-type]
        box.world.add_user("ana")
        made = box.world.add_post("ana", "look", kind="album", count=2)
        hosts = ["*.cdninstagram.com", "*.fbcdn.net", "127.0.0.1:1"]
        with account(box, media_hosts=hosts + [box.media_host] * (where == "port")) as platform:
            platform.login()
            post = platform.post(str(made.pk))
            for image, picture in zip(post.media, made.pictures, strict=True):
                assert platform.download(image, 10**7) == box.gallery.read(picture.key)
