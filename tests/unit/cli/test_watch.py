"""`tagecho status --watch` on a terminal: the newest state in the place of the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.config import load
from bot.core.folders import private_folder
from bot.service.presence import present
from tests.terminal import on_terminal
from tests.waiting import PATIENCE

CONFIG = """\
[accounts.main]
platform = "instagram"
username = "imagebot"
"""
CLEARED = "\x1b[H\x1b[2J"  # the cursor goes home, and what was there is gone


@pytest.mark.slow
def test_on_a_terminal_it_shows_what_changes_until_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    folder = load(path, {}).data.dir
    private_folder(folder)
    with on_terminal(tmp_path, "status", "--watch") as terminal:
        terminal.until(f"{CLEARED}service   not running: tagecho run")
        with present(folder, datetime.now(UTC)):
            terminal.until(f"{CLEARED}service   running for")
        terminal.until(f"{CLEARED}service   not running")
        terminal.type("\x03")
        shown = terminal.until("^C")
        assert terminal.process.wait(PATIENCE) == 130
        assert "Traceback" not in shown
