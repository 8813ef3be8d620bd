"""What the verbs do is tested on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import Settings
from tests.databases import sqlite_in
from tests.datasets import settings_at


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    made = settings_at(tmp_path, database_url)
    if database_url.startswith("sqlite"):  # the settings name another place
        sqlite_in(made.data.dir)
    return made
