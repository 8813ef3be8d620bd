"""What the verbs do is tested on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import Settings
from tests.datasets import settings_at


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_at(tmp_path, database_url)
