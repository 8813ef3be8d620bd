"""Bytes by hash: whole or not at all, checked when read, removed when nobody refers to them."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import StorageError
from storage import blobs
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import BlobRow
from tests.databases import NOW, together
from tests.disk import full_after

OLD = 1_000_000_000  # a time stamp of 2001


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def age(path: Path) -> None:
    os.utime(path, (OLD, OLD))


@given(data=st.binary())
def test_what_was_put_is_got(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = BlobStore(tmp_path_factory.mktemp("blobs"))
    sha256 = store.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert store.get(sha256) == data


def test_a_file_is_private_and_lies_under_its_hash(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "deep" / "blobs")
    sha256 = store.put(b"x")
    [path] = files(tmp_path)
    assert path == store.path(sha256) == store.root / sha256[:2] / sha256[2:4] / sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_putting_again_writes_nothing_and_renews_the_date(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    path = store.path(store.put(b"x"))
    age(path)
    inode = path.stat().st_ino
    store.put(b"x")
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > OLD


def test_a_truncated_file_is_replaced(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = store.put(b"whole")
    store.path(sha256).write_bytes(b"who")
    store.put(b"whole")
    assert store.get(sha256) == b"whole"


def test_damage_is_noticed(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = store.put(b"whole")
    store.path(sha256).write_bytes(b"whale")
    with pytest.raises(StorageError, match="damaged"):
        store.get(sha256)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        BlobStore(tmp_path).get("0" * 64)


def test_the_same_bytes_put_by_many_at_once(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    data = os.urandom(200_000)
    hashes = together(*[lambda: store.put(data)] * 8)
    assert len(set(hashes)) == 1
    assert files(tmp_path) == [store.path(hashes[0])]
    assert store.get(hashes[0]) == data


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file")
    store = BlobStore(tmp_path / "blobs")
    with pytest.raises(StorageError, match="cannot store 3 bytes"):
        store.put(b"abc")
    with pytest.raises(StorageError, match="cannot be removed"):
        store.remove(["0" * 64])


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with full_after(1000), pytest.raises(StorageError, match="cannot store 5000 bytes"):
        store.put(b"x" * 5000)
    assert files(tmp_path) == []
    assert store.get(store.put(b"x" * 5000)) == b"x" * 5000


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs: {done.stderr.strip()}")
    try:
        store = BlobStore(tmp_path)
        sha256 = store.put(b"small")
        with pytest.raises(StorageError) as error:
            store.put(os.urandom(200_000))
        assert isinstance(error.value.__cause__, OSError)
        assert error.value.__cause__.errno == errno.ENOSPC
        assert files(tmp_path) == [store.path(sha256)]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_removing_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = store.put(b"x")
    store.remove([sha256, "0" * 64])
    assert files(tmp_path) == []


def test_references_are_counted(database: Database) -> None:
    a, b = "a" * 64, "b" * 64
    with database.write() as session:
        for sha256 in (a, a, b):
            blobs.link(session, sha256, 5, "image/png", NOW)
    with database.write() as session:
        assert blobs.unlink(session, [a, b, "c" * 64]) == [b]
        assert session.get_one(BlobRow, a).refs == 1
    with database.write() as session:
        assert blobs.unlink(session, [a, a]) == [a]
    with database.read() as session:
        assert session.get(BlobRow, a) is None


def test_references_to_one_image_from_many_threads(
    database: Database, open_database: Callable[[], Database]
) -> None:
    def link(mine: Database) -> None:
        for _ in range(10):
            with mine.write() as session:
                blobs.link(session, "a" * 64, 5, "image/png", NOW)

    together(*[lambda: link(open_database())] * 4)
    with database.read() as session:
        assert session.get_one(BlobRow, "a" * 64).refs == 40


def test_the_sweep_takes_old_orphans_only(database: Database, tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    named, orphan, fresh = store.put(b"named"), store.put(b"orphan"), store.put(b"fresh")
    partial = store.path(named).parent / ".put-abc"
    partial.write_bytes(b"half")
    young = store.path(named).parent / ".put-def"
    young.write_bytes(b"being written")
    for path in (store.path(named), store.path(orphan), partial):
        age(path)
    with database.write() as session:
        blobs.link(session, named, 5, "image/png", NOW)
    with database.read() as session:
        assert store.sweep(session) == 2
        assert files(store.root) == sorted([store.path(named), store.path(fresh), young])
        assert store.sweep(session, older_than=-60) == 2
    assert files(store.root) == [store.path(named)]


def test_sweeping_where_nothing_is(database: Database, tmp_path: Path) -> None:
    with database.read() as session:
        assert BlobStore(tmp_path / "none").sweep(session) == 0
