"""`tagecho forget` as a person meets it: what would go, and a question before it goes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from bot.config import load
from bot.service.app import opened
from storage import dataset
from tests.command import Run
from tests.datasets import put

CONFIG = """\
[accounts.main]
platform = "instagram"
username = "imagebot"
"""


class Terminal(io.StringIO):
    """What a person types, on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two posts of two people are stored."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    with opened(load(path)) as app:
        for n in range(2):
            put(app, f"p{n}", f"u{n}", ("hoodie",), into="hoodie")
    return path


@pytest.fixture
def tagecho(config: Path, own_logging: None, tagecho: Run) -> Run:
    return tagecho


def left(config: Path) -> tuple[int, int]:
    """Posts, and files of originals."""
    with opened(load(config)) as app, app.database.read() as session:
        posts = dataset.counts(session)["posts"]
    files = (config.parent / "data/originals").rglob("*")
    return posts, sum(path.is_file() for path in files)


def test_a_dry_run_tells_the_same_and_removes_nothing(tagecho: Run, config: Path) -> None:
    would = tagecho("forget", "instagram/u0", "--dry-run", "--json")
    assert would.code == 0
    assert left(config) == (2, 2)
    assert tagecho("forget", "instagram/u0", "--json").out == would.out
    assert left(config) == (1, 1)
    assert tagecho("forget", "instagram/u9", "--dry-run").code == 8


def test_a_dry_run_of_a_post_keeps_nobody_out(tagecho: Run, config: Path) -> None:
    assert tagecho("forget", "instagram:post:4711", "--dry-run").code == 0
    with opened(load(config)) as app, app.database.read() as session:
        assert app.optouts.unwelcome(session, "instagram", {"4711": "u0"}) == set()
    assert tagecho("forget", "instagram:post:4711").code == 0
    with opened(load(config)) as app, app.database.read() as session:
        assert app.optouts.unwelcome(session, "instagram", {"4711": "u0"}) == {"4711"}


@pytest.mark.parametrize(("typed", "posts"), [("n\n", 2), ("\n", 2), ("y\n", 1)])
def test_on_a_terminal_it_asks(
    tagecho: Run, config: Path, monkeypatch: pytest.MonkeyPatch, typed: str, posts: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    done = tagecho("forget", "instagram/u0")
    assert done.code == 0
    assert "1 posts" in done.out
    assert left(config)[0] == posts


def test_yes_asks_nobody(tagecho: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert tagecho("forget", "instagram/u0", "--yes").code == 0
    assert left(config)[0] == 1
