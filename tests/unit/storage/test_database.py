"""Transactions, times and files of the database."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import select

from bot.core.errors import StorageError
from storage import outbox
from storage.database import Database
from storage.tables import Control, TrackState
from tests.databases import NOW, together
from tests.waiting import PATIENCE


def polls(database: Database) -> int:
    with database.read() as session:
        return session.get_one(TrackState, "t").polls


def count_up(database: Database, times: int) -> None:
    for _ in range(times):
        with database.write() as session:
            row = session.get_one(TrackState, "t")
            row.polls = row.polls + 1


def test_reading_then_writing_loses_nothing_and_never_finds_it_locked(
    database: Database, open_database: Callable[[], Database]
) -> None:
    with database.write() as session:
        session.add(TrackState(track="t"))
    other = open_database()
    together(lambda: count_up(database, 200), lambda: count_up(other, 200))
    assert polls(database) == 400


def test_a_reader_keeps_its_view_while_others_write(database: Database) -> None:
    with database.write() as session:
        session.add(Control(key="a", value="1", changed=NOW))
    ours = select(Control.key).where(Control.changed == NOW)
    with database.read() as view:
        assert view.exec(ours).all() == ["a"]
        with database.write() as session:
            session.add(Control(key="b", value="2", changed=NOW))
        assert view.exec(ours).all() == ["a"]
    with database.read() as session:
        assert len(session.exec(ours).all()) == 2


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as session:
        session.add(Control(key="a", value="1", changed=NOW))
        session.flush()
        with database.read() as view:
            assert view.get(Control, "a") is None


def test_a_read_session_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError), database.read() as session:
        session.add(Control(key="a", value="1", changed=NOW))
        session.flush()
    with database.write() as session:  # the same pooled connection may write again
        session.add(Control(key="a", value="1", changed=NOW))


def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as session:
        session.add(Control(key="a", value="1", changed=NOW))
        session.flush()
        raise KeyError
    with database.read() as session:
        assert session.get(Control, "a") is None


def test_a_mistake_of_the_program_stays_what_it_is(database: Database) -> None:
    with database.write() as session:
        session.add(Control(key="a", value="1", changed=NOW))
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Control(key="a", value="2", changed=NOW))


@pytest.mark.parametrize("offset", [0, 5.75, -11])
def test_times_come_back_aware_in_utc(database: Database, offset: float) -> None:
    zone = timezone(timedelta(hours=offset))
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=zone)
    with database.write() as session:
        session.add(Control(key="a", value="1", changed=moment))
    with database.read() as session:
        found = session.get_one(Control, "a").changed
        assert session.exec(select(Control.key).where(Control.changed == moment)).all() == ["a"]
    assert found == moment
    assert found.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        session.add(Control(key="a", value="1", changed=datetime(2026, 3, 1)))


def test_files_are_private(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'data' / 'tagecho.db'}")
    database.migrate()
    with database.write() as session:
        session.add(Control(key="a", value="1", changed=NOW))
        files = sorted((tmp_path / "data").iterdir())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
    database.close()
    assert modes == {"tagecho.db": 0o600, "tagecho.db-shm": 0o600, "tagecho.db-wal": 0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_sqlite_syncs_every_commit_and_keeps_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'tagecho.db'}")
    with database.engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete"
            )
        ]  # fmt: skip
    database.close()
    assert pragmas == ["wal", 2, 1, 30000, 1]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "tagecho.db").write_bytes(b"not a database at all" * 100)
    database = Database(f"sqlite:///{tmp_path / 'tagecho.db'}")
    with pytest.raises(StorageError, match="not a database"):
        database.migrate()
    with pytest.raises(StorageError, match="not a database"), database.read() as session:
        session.get(Control, "a")
    database.close()


def test_a_place_where_no_database_can_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    with pytest.raises(StorageError, match="cannot create"):
        Database(f"sqlite:///{tmp_path / 'data' / 'tagecho.db'}")


def test_a_server_that_does_not_answer() -> None:
    database = Database("postgresql+psycopg://nobody:hunter2@127.0.0.1:1/none")
    with pytest.raises(StorageError, match="cannot migrate") as error:
        database.migrate()
    assert "hunter2" not in str(error.value)
    database.close()


def test_a_writer_that_waits_too_long_is_told(
    database: Database, open_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database._PATIENCE", 1)
    other, held, done = open_database(), threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as session:
            session.get(Control, "a")
            held.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(PATIENCE)
    with pytest.raises(StorageError, match="lock"), other.write() as session:
        session.get(Control, "a")
    done.set()
    thread.join()


def test_a_damaged_page_is_found_before_something_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "tagecho.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.write() as session:
        session.add_all(Control(key=f"k{n}", value="v" * 400, changed=NOW) for n in range(200))
    database.verify(outbox.VITAL)
    database.verify()
    with database.write() as session:
        statement = "SELECT rootpage FROM sqlite_master WHERE name = 'controls'"
        page = int(session.connection().exec_driver_sql(statement).scalar_one())
        size = int(session.connection().exec_driver_sql("PRAGMA page_size").scalar_one())
    database.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    damaged = Database(f"sqlite:///{path}")
    with pytest.raises(StorageError, match=r"damaged|malformed"):
        damaged.verify(outbox.VITAL)
    with pytest.raises(StorageError, match=r"damaged|malformed"):
        damaged.verify()
    damaged.verify(("replies",))
    damaged.close()
