"""Folders of ours are nobody else's to look into."""

from __future__ import annotations

from pathlib import Path

from bot.core.folders import keep_private, private_folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert mode(tmp_path) == 0o755, "what was there is not ours to change"
    private_folder(tmp_path / "a" / "b" / "c")


def test_rights_of_others_are_taken_away(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    assert mode(tmp_path) == 0o700
