"""Serves the console from a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from bot.config.settings import UNGUARDED
from bot.console.app import console_app
from bot.console.context import Context
from bot.core.errors import ConfigError, TagechoError
from bot.service.app import App

log = structlog.get_logger()
GRACE = 2  # seconds for answers in hand when it stops
START = 30.0  # seconds


@contextlib.contextmanager
def serving(path: Path, app: App) -> Iterator[str]:
    """The console of this configuration file, until the block ends; gives its address.

    Raises ConfigError when other machines could use it without a password, TagechoError when the
    address is taken.
    """
    said = app.settings.console
    if said.unguarded:
        raise ConfigError(f"console.listen: {UNGUARDED}")
    listener = _listen(said.address)
    host, port = listener.getsockname()[:2]
    context = Context(path, app)
    server = uvicorn.Server(
        uvicorn.Config(
            console_app(context),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],), name="console", daemon=True)
    thread.start()
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    log.info("console started", address=address)
    try:
        yield address
    finally:
        context.stop.set()
        server.should_exit = True
        thread.join(START)
        listener.close()


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=128)
    except OSError as error:
        host, port = address
        raise TagechoError(f"console.listen: {host}:{port}: {error.strerror}") from error
