"""The loopback Instagram, started and stopped as one thing."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config, Sockets
from hypercorn.utils import wrap_app

from bot.platforms.sandbox import tls
from bot.platforms.sandbox.app import App
from bot.platforms.sandbox.control import Control
from bot.platforms.sandbox.faults import Faults
from bot.platforms.sandbox.journal import Journal
from bot.platforms.sandbox.net import Network
from bot.platforms.sandbox.people import Crowd, Habits
from bot.platforms.sandbox.photos import Gallery
from bot.platforms.sandbox.proxy import Proxy
from bot.platforms.sandbox.sessions import Sessions
from bot.platforms.sandbox.things import Profile
from bot.platforms.sandbox.world import World

_START_S = _STOP_S = 120.0  # for whatever hangs: neither takes long on an idle machine


@dataclass(frozen=True, slots=True)
class Login:
    """What the bot's account is logged in with."""

    username: str = "imagebot"
    password: str = "loopback-password"  # noqa: S105 - opens nothing but this sandbox
    totp_secret: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """On 127.0.0.1; 0 takes any free one."""

    proxy: int = 0
    media: int = 0
    control: int = 0


class Sandbox:
    """Runs the whole network in a background thread of this process.

        with Sandbox(directory) as box:
            client = instagrapi.Client(proxy=box.proxy_url, tls_verify=box.ca_file)

    It starts empty but for the bot's account; `crowd.populate()` adds the people of the demo, who
    then post by their `habits`. `media="port"` gives image addresses on a plain HTTP port
    (`media_host`), `"cdn"` on scontent.cdninstagram.com through the proxy.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bot: Login = Login(),
        habits: Habits = Habits(),  # noqa: B008 - a constant
        seed: int = 0,
        media: Literal["port", "cdn"] = "port",
        clock: Callable[[], float] = time.time,
        ports: Ports = Ports(),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.username, self.password, self.totp_secret = bot.username, bot.password, bot.totp_secret
        self.tls_files = tls.ensure(directory)
        self.gallery = Gallery(directory, seed)
        self.world = World(self.gallery, clock, seed)
        self.journal = Journal(directory / "journal.jsonl", clock)
        self.faults = Faults()
        self.sessions = Sessions()
        self.net = Network(self.world, self.gallery, self.journal, self.faults, self.sessions)
        self.account = self.world.add_user(
            bot.username,
            "Image bot",
            profile=Profile(
                biography="I am a bot", password=bot.password, totp_secret=bot.totp_secret
            ),
        )
        self.crowd = Crowd(self.net, bot.username, habits, seed)
        self._media = media
        self._ports: dict[str, int] = {"tls": 0, **asdict(ports)}
        self._sockets: dict[str, socket.socket] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def ca_file(self) -> str:
        return str(self.tls_files.ca)

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self._port('proxy')}"

    @property
    def media_host(self) -> str:
        """Host and port of image addresses, as `media_hosts` of an account wants it."""
        if self._media == "cdn":
            return "scontent.cdninstagram.com"
        return f"127.0.0.1:{self._port('media')}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self._port('control')}"

    def keys(self) -> dict[str, str | list[str]]:
        """Keys of `[accounts.NAME]` that lead to this network."""
        hosts = [self.media_host]
        return {"proxy": self.proxy_url, "ca_file": self.ca_file, "media_hosts": hosts}

    def secrets(self) -> dict[str, str]:
        """The secrets of the bot's account, by the names that the settings have for them."""
        both = {"password": self.password, "totp_secret": self.totp_secret}
        return {name: value for name, value in both.items() if value}

    def addresses(self) -> dict[str, str]:
        """All a client of this sandbox needs to know."""
        return {
            "proxy": self.proxy_url,
            "ca_file": self.ca_file,
            "media_host": self.media_host,
            "control": self.control_url,
            "journal": str(self.journal.path),
            "username": self.username,
            "password": self.password,
            "totp_secret": self.totp_secret,
            "opt_in": self.crowd.opt_in,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when all ports answer. Raises RuntimeError when they do not in time."""
        for name in self._ports:
            self._sockets[name] = _listener(self._ports[name])
            self._ports[name] = self._sockets[name].getsockname()[1]
        scheme = "https" if self._media == "cdn" else "http"
        self.net.media_base = f"{scheme}://{self.media_host}"
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S) or self._failure is not None:
            self.stop()
            raise RuntimeError("the sandbox did not start") from self._failure

    def stop(self) -> None:
        """Stop serving, release whoever hangs, close every port and the journal.

        Raises RuntimeError when the server does not end in time.
        """
        self.faults.clear()
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                raise RuntimeError("the sandbox did not stop")
        for listener in self._sockets.values():
            listener.close()
        self.journal.close()

    def _port(self, name: str) -> int:
        if not self._ports[name]:
            raise RuntimeError("the sandbox was never started: it has no ports yet")
        return self._ports[name]

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to whoever started us
            self._failure = error
            logging.getLogger(__name__).exception("the sandbox broke down")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        proxy = Proxy(self.journal, self._ports["tls"])
        app = App(self.net, proxy, self._ports["media"])
        control = Control(self.net, self.crowd, self._ports["control"], app)
        await proxy.start(self._sockets["proxy"])
        crowd = asyncio.create_task(self.crowd.run())
        web = asyncio.create_task(self._web(control))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await _answers(self._ports["control"], web)
            self._ready.set()
            await asyncio.wait((web, stopped, crowd), return_when=asyncio.FIRST_COMPLETED)
            for task in (web, crowd):
                if task.done() and not self._stop.is_set():
                    task.result()  # raises what broke it
        finally:
            self._stop.set()
            crowd.cancel()
            await proxy.stop()
            await asyncio.gather(web, stopped, crowd, return_exceptions=True)

    async def _web(self, app: Control) -> None:
        assert self._stop is not None  # noqa: S101 - set by _serve before this task exists
        config = Config()
        config.certfile = str(self.tls_files.cert)
        config.keyfile = str(self.tls_files.key)
        config.errorlog = logging.getLogger(f"{__package__}.http")
        config.graceful_timeout = 0.5
        config.keep_alive_timeout = 120
        config.h2_max_concurrent_streams = 1000
        sockets = Sockets(
            [self._sockets["tls"]], [self._sockets[n] for n in ("media", "control")], []
        )
        wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")  # type: ignore[arg-type]
        await worker_serve(wrapped, config, sockets=sockets, shutdown_trigger=self._stop.wait)


async def _answers(port: int, server: asyncio.Task[None]) -> None:
    """Wait until a port accepts connections and says something."""
    while not server.done():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            await writer.drain()
            if await reader.readline():
                return
        finally:
            writer.close()
            await writer.wait_closed()


def _listener(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    listener.setblocking(False)
    return listener
