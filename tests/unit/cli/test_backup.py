"""`tagecho backup` and `restore`: hot, verified, for its owner only."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from bot.config import load
from bot.service.app import opened
from storage import dataset
from tests.command import Run
from tests.datasets import put
from tests.paths import ROOT

CONFIG = """\
[accounts.main]
platform = "instagram"
username = "imagebot"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def tagecho(config: Path, own_logging: None, tagecho: Run) -> Run:
    """In a folder with a configuration, and three posts."""
    with opened(load(config)) as app:
        for n in range(3):
            put(app, f"p{n}", f"u{n}", ("hoodie",), into="hoodie")
    (config.parent / "data/sessions").mkdir()
    (config.parent / "data/sessions/main.json").write_text("{}", encoding="utf-8")
    return tagecho


def posts(config: Path) -> int:
    with opened(load(config)) as app, app.database.read() as session:
        return dataset.counts(session)["posts"]


def images(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "data/originals").rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in files}


def test_there_and_back_while_somebody_writes(tagecho: Run, config: Path, tmp_path: Path) -> None:
    with opened(load(config)) as app, app.database.write() as session:  # a writer that waits
        session.connection()
        done = tagecho("backup", "b.tar", "--json")
    assert done.code == 0, done.err
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    before = {
        p.name: p.read_bytes() for p in (tmp_path / "data/originals").rglob("*") if p.is_file()
    }
    assert len(before) == 3
    shutil.rmtree(tmp_path / "data")
    restored = tagecho("restore", "b.tar", "--json")
    assert restored.code == 0, restored.err
    assert json.loads(restored.out)["files"] == json.loads(done.out)["files"] >= 6
    assert posts(config) == 3
    after = {
        p.name: p.read_bytes() for p in (tmp_path / "data/originals").rglob("*") if p.is_file()
    }
    assert after == before
    assert (tmp_path / "data/sessions/main.json").is_file()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_nothing_is_overwritten(tagecho: Run, config: Path, tmp_path: Path) -> None:
    assert tagecho("backup", "b.tar").code == 0
    assert tagecho("backup", "b.tar").code == 2
    before = (tmp_path / "data/tagecho.db").read_bytes()
    assert tagecho("restore", "b.tar").code == 2
    assert (tmp_path / "data/tagecho.db").read_bytes() == before
    assert tagecho("restore", "absent.tar").code == 2
    assert tagecho("backup", "no/such/folder.tar").code == 2


@pytest.mark.parametrize("harm", ["bit", "cut", "text", "outside", "link"])
def test_a_damaged_file_changes_nothing(
    tagecho: Run, config: Path, tmp_path: Path, harm: str
) -> None:
    assert tagecho("backup", "b.tar").code == 0
    path = tmp_path / "b.tar"
    content = bytearray(path.read_bytes())
    if harm == "bit":
        with tarfile.open(path) as tar:
            entry = next(e for e in tar if "/originals/" in e.name)
        content[entry.offset_data + 10] ^= 1
    path.write_bytes(content[: len(content) // 2] if harm == "cut" else content)
    if harm == "text":
        path.write_text("no tar", encoding="utf-8")
    if harm in {"outside", "link"}:
        with tarfile.open(path, "a") as tar:
            entry = tarfile.TarInfo("data/../../evil" if harm == "outside" else "data/link")
            if harm == "link":
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry, io.BytesIO())
    shutil.rmtree(tmp_path / "data")
    done = tagecho("restore", "b.tar")
    assert (done.code, len(done.err.splitlines())) == (10, 1), done.err
    assert {p.name for p in tmp_path.iterdir()} == {"b.tar", "config.toml"}


@pytest.mark.postgres
def test_of_postgresql(
    tagecho: Run, config: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its client programs are; else it is said what is missing."""
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite")
    monkeypatch.setenv("TAGECHO_DATA__URL", database_url)
    with opened(load(config)) as app:
        put(app, "p9", "u9", ("hoodie",), into="hoodie")
    if shutil.which("pg_dump") is None:
        done = tagecho("backup", "b.tar")
        assert (done.code, "pg_dump" in done.err) == (11, True)
        return
    assert tagecho("backup", "b.tar").code == 0
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert "database/tagecho.pgdump" in tar.getnames()


def test_without_the_programs_of_postgresql(
    tagecho: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.core.errors import NotInstalled
    from bot.verbs.backup import backup

    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("TAGECHO_DATA__URL", "postgresql://tagecho@127.0.0.1:1/tagecho")
    with pytest.raises(NotInstalled, match="pg_dump"):
        backup(load(config), config.with_name("b.tar"))
    assert not config.with_name("b.tar").exists()


def test_the_guide_names_what_is_left_out() -> None:
    from bot.verbs.backup import LEFT_OUT

    guide = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    section = guide.partition("## Back up and restore")[2].partition("\n## ")[0]
    assert all(f"`{name}/`" in section for name in LEFT_OUT)
