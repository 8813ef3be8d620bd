"""Fixtures for tests that talk to the loopback Instagram; `tests/conftest.py` offers them to all.

The imports are inside the fixtures, so that tests without a network do not pay for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from instagrapi import Client

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


def close(client: Client) -> None:
    for session in (client.private, client.public, client.graphql):
        session.close()
