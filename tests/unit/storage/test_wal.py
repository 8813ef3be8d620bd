"""The write-ahead log stays small while the database is open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import select

from storage import wal
from storage.database import Database
from storage.tables import Control
from storage.wal import LIMIT, WriteAheadLog
from tests.databases import NOW, sqlite_in

PIECE = 500_000  # bytes of a write; with what the pages add, less than twice as much in the log


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(sqlite_in(tmp_path))
    with made.write() as session:
        session.add(Control(key="a", value="", changed=NOW))
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> WriteAheadLog:
    return WriteAheadLog(tmp_path / "tagecho.db")


def write(database: Database, log: WriteAheadLog, times: int) -> int:
    """The most bytes that the log had after one of the writes."""
    most = 0
    for _ in range(times):
        with database.write() as session:
            session.get_one(Control, "a").value = os.urandom(PIECE // 2).hex()
        most = max(most, log.size())
    return most


@contextmanager
def overlapping_readers(database: Database) -> Iterator[None]:
    """Three who read again and again, so that there is hardly a moment without any."""
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with database.read() as session:
                session.exec(select(Control.key)).all()
                over.wait(0.02)  # how long reading takes

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_readers_who_overlap_do_not_make_it_grow(
    database: Database, log: WriteAheadLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "PATIENCE", 600_000)  # however slow the machine is
    with overlapping_readers(database):
        assert write(database, log, 80) <= LIMIT + 2 * PIECE
    with database.read() as session:
        assert len(session.get_one(Control, "a").value) == PIECE


def test_a_reader_who_stays_stops_nobody_and_it_shrinks_afterwards(
    database: Database, log: WriteAheadLog
) -> None:
    with database.read() as view:
        assert view.get_one(Control, "a").value == ""
        assert write(database, log, 60) > 3 * LIMIT, "so many versions are kept for the reader"
        view.expire_all()
        assert view.get_one(Control, "a").value == ""
    write(database, log, 20)
    assert log.size() <= LIMIT + 2 * PIECE


def test_one_large_write_leaves_no_large_file(database: Database, log: WriteAheadLog) -> None:
    with database.write() as session:
        for number in range(40):
            value = os.urandom(PIECE // 2).hex()
            session.add(Control(key=f"k{number}", value=value, changed=NOW))
    assert log.size() <= LIMIT
