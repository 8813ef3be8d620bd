"""Fixtures for tests that talk to the loopback Instagram.

Import them where they are wanted (`from tests.sandbox import sandbox`), or in a conftest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from instagrapi import Client

from bot.platforms.sandbox.server import Sandbox


@pytest.fixture(autouse=True)
def no_foreign_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported CA bundle would win over the client's own `tls_verify`."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sandbox(tmp_path: Path, no_foreign_ca: None) -> Iterator[Sandbox]:
    """A running network that holds nothing but the bot's account."""
    with Sandbox(tmp_path / "sandbox") as box:
        yield box


def new_client(box: Sandbox, **options: Any) -> Client:
    """The unmodified client, without its waits; not logged in."""
    settings = {"request_timeout": 0, "with_challenge_flow": False, "session_retry_total": 0}
    return Client(proxy=box.proxy_url, tls_verify=box.ca_file, **(settings | options))


def close(client: Client) -> None:
    for session in (client.private, client.public, client.graphql):
        session.close()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Logged in as the bot by the legacy endpoint, which takes fewer requests."""
    made = new_client(sandbox)
    made.login_legacy(sandbox.username, sandbox.password)
    yield made
    close(made)
