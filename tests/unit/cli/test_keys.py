"""`tagecho keys`: shown once, listed without it, refused when revoked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bot.cli import main as cli
from tests.databases import sqlite_in

CONFIG = '[data]\ndir = "data"\n[accounts.main]\nplatform = "instagram"\nusername = "bot"\n'


@pytest.mark.usefixtures("own_logging")
def test_keys_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_in(tmp_path / "data")
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", "keys", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out

    code, out = run("create", "museum", "--per-day", "7")
    key = out.strip()
    assert code == 0 and key.startswith("tagecho_")
    assert run("create", "museum")[0] == 2
    assert run("create", "partner", "--json")[0] == 0
    listed = json.loads(run("list", "--json")[1])
    assert [(row["name"], row["per_day"], row["used_today"]) for row in listed] == [
        ("museum", 7, 0),
        ("partner", 100, 0),
    ]
    assert key not in json.dumps(listed)
    assert run("revoke", "museum")[0] == 0 and run("revoke", "nobody")[0] == 2
    assert json.loads(run("list", "--json")[1])[0]["revoked"]
