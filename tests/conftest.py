"""Fixtures every test may ask for."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.databases import database, database_url, open_database, postgres_server
from tests.sandbox import no_foreign_ca, raw_client, sandbox

__all__ = [
    "database",
    "database_url",
    "no_foreign_ca",
    "open_database",
    "postgres_server",
    "raw_client",
    "sandbox",
]

# No example is judged by how long it takes: that says how busy the machine is.
settings.register_profile("tagecho", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tagecho")


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks of the machine are the tests' own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """How a test configured structlog, which is global, ends with it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
