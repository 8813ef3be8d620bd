"""Fixtures every test may ask for."""

import gc
from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from tests.command import tagecho
from tests.databases import (
    database,
    database_url,
    open_database,
    postgres_schemas,
    postgres_server,
)
from tests.sandbox import no_foreign_ca, raw_client, sandbox
from tests.settings import empty_data, settings
from tests.small_segmenter import small_networks, small_segmenter

__all__ = [
    "database",
    "database_url",
    "empty_data",
    "no_foreign_ca",
    "open_database",
    "postgres_schemas",
    "postgres_server",
    "raw_client",
    "sandbox",
    "settings",
    "small_networks",
    "small_segmenter",
    "tagecho",
]

# No example is judged by how long it takes: that says how busy the machine is.
PATIENT = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("tagecho", deadline=None, suppress_health_check=PATIENT)
hypothesis.settings.load_profile("tagecho")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """The modules and the tests stay until the end. The garbage collector, which the service calls
    whenever it lets networks go, took a quarter of some tests' time to walk through them."""
    gc.freeze()


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
