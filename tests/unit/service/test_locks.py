"""One process per account, whatever it is called and wherever its data lie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.config import Settings, parse
from bot.core.errors import AccountLocked, ConfigError, StorageError
from bot.service.app import App
from bot.service.locks import account_lock, machine_folder
from storage.database import Database
from tests.databases import queue_reply


def settings(folder: Path, name: str = "main", username: str = "imagebot") -> Settings:
    text = f'[accounts.{name}]\nplatform = "instagram"\nusername = "{username}"\n'
    return parse(text, folder / "config.toml", {})


def test_an_account_keeps_its_name(tmp_path: Path) -> None:
    """By the name the database knows what was answered: under a new one it would know nothing."""
    app = App(settings(tmp_path))
    with app.lock("main"), app.database.write() as session:
        queue_reply(session, now=datetime.now(UTC))
    app.close()
    renamed = App(settings(tmp_path, "other"))
    with (
        pytest.raises(ConfigError, match=r"name it \[accounts\.main\] again"),
        renamed.lock("other"),
    ):
        pass
    renamed.close()
    again = App(settings(tmp_path))
    with again.lock("main"):
        pass
    again.close()


def test_an_account_without_replies_may_be_renamed(tmp_path: Path) -> None:
    for name in ("main", "other", "third"):
        app = App(settings(tmp_path, name))
        with app.lock(name):
            pass
        app.close()


def test_another_username_is_another_account(tmp_path: Path) -> None:
    app = App(settings(tmp_path))
    with app.lock("main"), app.database.write() as session:
        queue_reply(session, now=datetime.now(UTC))
    app.close()
    second = App(settings(tmp_path, "second", "imagebot2"))
    with second.lock("second"):
        pass
    second.close()


def test_two_data_folders_on_one_machine(tmp_path: Path) -> None:
    database = Database("sqlite://")
    with account_lock(tmp_path / "a", database, "instagram", "imagebot"):
        with (
            pytest.raises(AccountLocked, match="in use by another"),
            account_lock(tmp_path / "b", database, "instagram", "imagebot"),
        ):
            pass
        proxy = "http://127.0.0.1:1"  # leads to another network
        with account_lock(tmp_path / "b", database, "instagram", "imagebot", proxy):
            pass
    with account_lock(tmp_path / "b", database, "instagram", "imagebot"):
        pass
    database.close()


def test_one_data_folder_whatever_the_proxy(tmp_path: Path) -> None:
    database = Database("sqlite://")
    with (
        account_lock(tmp_path, database, "instagram", "imagebot"),
        pytest.raises(AccountLocked),
        account_lock(tmp_path, database, "instagram", "imagebot", "http://127.0.0.1:1"),
    ):
        pass
    database.close()


def test_without_a_home_the_locks_are_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert machine_folder().parent == tmp_path
    assert machine_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_lock_that_the_database_dropped(
    tmp_path: Path, open_database: Callable[[], Database]
) -> None:
    ours, theirs = open_database(), open_database()
    name = f"bot{secrets.token_hex(6)}"  # the lock is the server's, which other tests use too
    digest = hashlib.sha256(f"tagecho/instagram/{name}".encode()).digest()
    with account_lock(tmp_path / "a", ours, "instagram", name, "one") as check:
        check()
        with (
            pytest.raises(AccountLocked, match="another machine"),
            account_lock(tmp_path / "b", theirs, "instagram", name, "two"),
        ):
            pass
        holder = (
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND classid::bigint = :high AND objid::bigint = :low"
        )
        key = {
            "high": int.from_bytes(digest[:4], "big"),
            "low": int.from_bytes(digest[4:8], "big"),
        }
        with theirs.write() as session:
            assert session.connection().execute(text(holder), key).all() == [(True,)]
        with pytest.raises(StorageError, match=f"dropped the lock of instagram/{name}"):
            check()
