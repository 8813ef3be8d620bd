"""`tagecho backup` and `restore`: hot, verified, for its owner only."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlmodel import select

from bot.config import load
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.service.app import opened
from storage import copies, dataset
from storage.tables import AuthorRow
from tests.command import Run
from tests.datasets import put
from tests.paths import ROOT
from tests.schemas import administer

Use = Callable[[str], str]

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
    before = images(tmp_path)
    assert len(before) == 3
    shutil.rmtree(tmp_path / "data")
    restored = tagecho("restore", "b.tar", "--json")
    assert restored.code == 0, restored.err
    assert json.loads(restored.out)["files"] == json.loads(done.out)["files"] >= 6
    assert posts(config) == 3
    assert images(tmp_path) == before
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


needs_programs = pytest.mark.skipif(
    shutil.which("pg_dump") is None, reason="pg_dump and pg_restore are not installed"
)


@pytest.fixture
def postgres(postgres_server: URL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """A function that leads the configuration to a database of its own, by name."""
    made: set[str] = set()

    def use(name: str) -> str:
        database = f"tagecho_{secrets.token_hex(6)}_{name}"
        made.add(database)
        administer(postgres_server, f"CREATE DATABASE {database}")
        url = postgres_server.set(database=database).render_as_string(hide_password=False)
        monkeypatch.setenv("TAGECHO_DATA__URL", url)
        return url

    yield use
    for database in made:
        administer(postgres_server, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.mark.slow
@needs_programs
@pytest.mark.postgres
def test_there_and_back_on_postgresql(
    tagecho: Run, config: Path, tmp_path: Path, postgres: Use
) -> None:
    """Of one moment, though somebody writes; into another, empty database."""
    old = postgres("old")
    with opened(load(config)) as app:
        put(app, "p9", "u9", ("hoodie",), into="hoodie")
        with app.database.write() as session:  # seen by nobody before it is committed
            now = utc_now()
            who = {"platform": "instagram", "user_id": "u99", "username": "later"}
            session.add(AuthorRow(**who, first_seen=now, last_seen=now))
            session.flush()
            done = tagecho("backup", "b.tar", "--json")
    assert done.code == 0, done.err
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames()[0] == "database/tagecho.pgdump"
    before = images(tmp_path)
    (tmp_path / "data").rename(tmp_path / "data.old")
    refused = tagecho("restore", "b.tar")  # the database is not empty
    assert (refused.code, len(refused.err.splitlines())) == (10, 1), refused.err
    assert not (tmp_path / "data").exists()
    assert postgres("new") != old
    restored = tagecho("restore", "b.tar", "--json")
    assert restored.code == 0, restored.err
    assert images(tmp_path) == before
    assert posts(config) == 1
    with opened(load(config)) as app, app.database.read() as session:
        assert session.exec(select(AuthorRow.user_id)).all() == ["u9"]


@pytest.mark.slow
@needs_programs
@pytest.mark.postgres
def test_a_dump_is_read_to_its_end(
    tagecho: Run, config: Path, tmp_path: Path, postgres: Use
) -> None:
    """Its table of contents, which stands first, says nothing of the rows."""
    url, dump = postgres("cut"), tmp_path / "tagecho.pgdump"
    with opened(load(config)) as app:
        put(app, "p9", "u9", ("hoodie",), into="hoodie")
    copies.copy(url, dump)
    copies.check(dump)
    dump.write_bytes(dump.read_bytes()[:-1000])
    with pytest.raises(StorageError, match=r"^pg_restore: "):
        copies.check(dump)


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
