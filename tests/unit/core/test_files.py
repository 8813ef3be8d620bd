"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.core.files import replacing
from tests.disk import full_after


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
