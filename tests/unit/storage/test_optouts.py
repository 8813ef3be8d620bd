"""Tombstones: they hold, they name nobody, and their key cannot be lost silently."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from bot.core.errors import StorageError
from storage.database import Database
from storage.optouts import OptOuts
from storage.tables import OptOut
from tests.databases import NOW, together


def opened(database: Database, key_file: Path) -> OptOuts:
    optouts = OptOuts(key_file)
    with database.write() as session:
        optouts.open(session, NOW)
    return optouts


def test_who_opted_out_is_kept_out(database: Database, tmp_path: Path) -> None:
    key = tmp_path / "keys" / "optout.key"
    optouts = opened(database, key)
    with database.write() as session:
        optouts.add(session, "instagram", "u1", NOW)
        optouts.add(session, "instagram", "u1", NOW)
        optouts.add(session, "elsewhere", "u2", NOW)
    for again in (optouts, opened(database, key)):
        with database.read() as session:
            assert again.has(session, "instagram", "u1")
            assert not again.has(session, "elsewhere", "u1")
            assert not again.has(session, "instagram", "u2")
            assert again.among(session, "instagram", {"u1", "u2", "u3"}) == {"u1"}
            assert again.among(session, "instagram", set()) == set()


def test_the_key_is_private_and_no_id_is_stored(database: Database, tmp_path: Path) -> None:
    key = tmp_path / "optout.key"
    optouts = opened(database, key)
    with database.write() as session:
        optouts.add(session, "instagram", "12345678901", NOW)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    with database.read() as session:
        [row] = session.exec(select(OptOut)).all()
    assert "12345678901" not in repr(row)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".key")] == []


def test_another_key_gives_other_hashes(
    database: Database, tmp_path: Path, open_database: Callable[[], Database]
) -> None:
    first = opened(database, tmp_path / "a.key")
    with database.write() as session:
        first.add(session, "instagram", "u1", NOW)
    (tmp_path / "b.key").write_bytes(b"k" * 32)
    with pytest.raises(StorageError, match="does not belong"):
        opened(open_database(), tmp_path / "b.key")


def test_a_lost_key_is_an_error_and_no_new_one_is_made(database: Database, tmp_path: Path) -> None:
    key = tmp_path / "optout.key"
    opened(database, key)
    key.unlink()
    with pytest.raises(StorageError, match="missing"):
        opened(database, key)
    assert not key.exists()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_an_error(database: Database, tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "optout.key"
    key.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        opened(database, key)


def test_a_key_that_cannot_be_made(database: Database, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(StorageError, match="opt-out key"):
        opened(database, tmp_path / "keys" / "optout.key")


def test_processes_that_start_at_once_agree_on_the_key(
    tmp_path: Path, database: Database, open_database: Callable[[], Database]
) -> None:
    key = tmp_path / "optout.key"
    first, *others = together(*[lambda: opened(open_database(), key)] * 4)
    with database.write() as session:
        first.add(session, "instagram", "u1", NOW)
    for optouts in others:
        with database.read() as session:
            assert optouts.has(session, "instagram", "u1")


def test_asking_before_opening_is_a_mistake(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="open"), database.read() as session:
        OptOuts(tmp_path / "optout.key").has(session, "instagram", "u1")
