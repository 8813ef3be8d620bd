"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from bot.core.files import read_whole, replacing, write_open
from tests.disk import full_after
from tests.waiting import PATIENCE


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a"]


def test_a_mode_of_its_own(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as file:
        os.fchmod(file.fileno(), 0o640)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path, ".put-") as file:
        file.write(b"half")
        assert [name[:5] for name in names(tmp_path)] == [".put-", "a"]
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with (
        full_after(1000),
        pytest.raises(OSError, match="too large"),
        replacing(tmp_path / "a") as file,
    ):
        file.write(bytes(100_000))
    assert names(tmp_path) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("write", ["replacing", "write_open"])
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path, write: str) -> None:
    """As root, `--out /dev/null` would make a file of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    if write == "replacing":
        with replacing(pipe) as file:
            file.write(b"new")
    else:
        write_open(pipe, b"new")
    reader.join(PATIENCE)
    assert read == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_whole(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_whole(Path("/dev/zero"), 1 << 20)
