"""What the Bluesky network of the demo needs, and what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.platforms.bluesky_sandbox.people import handle
from bot.platforms.bluesky_sandbox.requirements import missing, unreachable
from tests.command import Run


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found; empty."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add(folder: Path, name: str, says: str = "") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


def test_what_is_missing_is_named_one_after_the_other(programs: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "there is no node: install it" in missing(home)
    add(programs, "node", "v18.20.4")
    assert "there is no redis-server: install it" in missing(home)
    add(programs, "redis-server")
    assert "node 18.20.4 is too old: install 20 or newer" in missing(home)
    add(programs, "node", "v20.1.0")
    assert f"npm install --prefix {home}" in missing(home)
    (home / "node_modules/@atproto/dev-env").mkdir(parents=True)
    assert "npm install" in missing(home), "its database is not compiled yet"
    (home / "node_modules/better-sqlite3/build/Release/better_sqlite3.node").mkdir(parents=True)
    assert missing(home) == ""


def test_a_server_that_does_not_answer_is_named() -> None:
    said = unreachable("postgresql://nobody@127.0.0.1:1/nothing")
    assert "no PostgreSQL server at TAGECHO_BLUESKY_POSTGRES" in said
    assert "\n" not in said


def test_the_demo_says_what_to_install(programs: Path, tagecho: Run, tmp_path: Path) -> None:
    done = tagecho("demo", "--platform", "bluesky", "--dir", tmp_path / "demo")
    assert (done.code, done.out) == (11, "")
    (line,) = done.err.splitlines()
    assert "the loopback network of bluesky does not start: there is no node: install it" in line


def test_a_handle_is_on_this_network_unless_it_names_another() -> None:
    assert handle("imagebot") == "imagebot.test"
    assert handle("@Me.example.org") == "me.example.org"
