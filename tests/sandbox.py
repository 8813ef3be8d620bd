"""Fixtures for tests that talk to the loopback Instagram; `tests/conftest.py` offers them to all.

The imports are inside the fixtures, so that tests without a network do not pay for them.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from instagrapi import Client

    from bot.platforms.base import Pacer
    from bot.platforms.instagram.adapter import InstagramPlatform
    from bot.platforms.sandbox.server import Sandbox


@pytest.fixture
def no_foreign_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported CA bundle would win over the client's own `tls_verify`."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sandbox(tmp_path: Path, no_foreign_ca: None) -> Iterator[Sandbox]:
    """A running network that holds nothing but the bot's account."""
    from bot.platforms.sandbox.server import Sandbox

    with Sandbox(tmp_path / "sandbox") as box:
        yield box


@pytest.fixture
def raw_client(sandbox: Sandbox) -> Iterator[Client]:
    """The unmodified instagrapi client, logged in as the bot by the legacy endpoint."""
    client = new_client(sandbox)
    client.login_legacy(sandbox.username, sandbox.password)
    yield client
    close(client)


def new_client(box: Sandbox, **options: Any) -> Client:
    """The unmodified client, without its waits and retries; not logged in."""
    from instagrapi import Client

    settings = {"request_timeout": 0, "with_challenge_flow": False, "session_retry_total": 0}
    return Client(proxy=box.proxy_url, tls_verify=box.ca_file, **(settings | options))


def instagram_at(box: Sandbox, pacer: Pacer, **changes: Any) -> InstagramPlatform:
    """A client of ours for the bot's account, not logged in yet.

    `changes` replace arguments of the constructor, or fields of the connection and the credentials.
    A failing read is not tried again: each failure is looked at.
    """
    from bot.platforms.instagram.adapter import InstagramPlatform
    from bot.platforms.instagram.connection import Connection
    from bot.platforms.instagram.session import Credentials

    def made(kind: type[Any], **usual: Any) -> Any:
        names = {one.name for one in fields(kind)} & set(changes)
        return kind(**(usual | {name: changes.pop(name) for name in names}))

    values: dict[str, Any] = {
        "account": "main",
        "credentials": made(
            Credentials,
            username=box.username,
            password=lambda: box.password,
            totp_secret=box.totp_secret or None,
        ),
        "connection": made(
            Connection, proxy=box.proxy_url, ca_file=Path(box.ca_file), timeout=PATIENCE, attempts=1
        ),
        "session_file": box.directory / "session.json",
        "media_hosts": [box.media_host],
        "pacer": pacer,
    }
    return InstagramPlatform(**(values | changes))


def sign_in(box: Sandbox) -> None:
    """Leave a session of the bot's account, for tests that are about something else: the nine
    requests of a login, and the network's new RSA key, cost more than most of these do."""
    stored = json.loads(_a_session())
    packed = box.sessions.open(box.account).rpartition(":")[2]
    token = json.loads(base64.b64decode(packed))
    stored |= {"authorization_data": token, "tls_verify": box.ca_file}
    path = box.directory / "session.json"
    path.touch(0o600)
    path.write_text(json.dumps(stored), encoding="utf-8")


@functools.cache
def _a_session() -> str:
    """What the client stores after a real login, on a network of its own."""
    from bot.platforms.pacing import LedgerPacer
    from bot.platforms.sandbox.server import Sandbox
    from tests.ledger import MemoryLedger

    with TemporaryDirectory() as folder, Sandbox(Path(folder)) as box:
        limits = dict.fromkeys(("read", "login"))
        platform = instagram_at(box, LedgerPacer("main", MemoryLedger(), limits))
        platform.login()
        platform.close()
        return (box.directory / "session.json").read_text(encoding="utf-8")


def close(client: Client) -> None:
    for session in (client.private, client.public, client.graphql):
        session.close()
