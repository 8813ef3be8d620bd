"""One flow for each test, on a network of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.kit import Flow, opened


@pytest.fixture
def flow(tmp_path: Path, no_foreign_ca: None) -> Iterator[Flow]:
    with opened(tmp_path) as made:
        yield made
