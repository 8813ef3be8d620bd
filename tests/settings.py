"""Settings whose data lie in the test's own folder; `tests/conftest.py` offers them to all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bot.config import Settings


@pytest.fixture(scope="session")
def empty_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that stored nothing yet: migrated once, copied by each test."""
    from bot.service.app import opened
    from tests.datasets import settings_at

    folder = tmp_path_factory.mktemp("empty")
    with opened(settings_at(folder)):
        return folder / "data"


@pytest.fixture
def settings(tmp_path: Path, empty_data: Path) -> Settings:
    """On SQLite; where it matters, a room has them on both databases."""
    from tests.datasets import settings_at

    made = settings_at(tmp_path)
    shutil.copytree(empty_data, made.data.dir)
    return made
