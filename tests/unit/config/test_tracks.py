"""Tracks put into and cut out of config.toml; all else stays byte for byte."""

from __future__ import annotations

import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import load
from bot.config.tracks import NewTrack, add_track, pause_track, remove_track
from bot.core.errors import ConfigError, NothingToDo, UsageError
from bot.core.events import TrackKind
from tests.paths import EXAMPLE

HASHTAG, PROFILE = TrackKind.HASHTAG, TrackKind.PROFILE
ACCOUNT = '[accounts.main]\nplatform = "instagram"\nusername = "imagebot"\n'
SECOND = '[accounts.second]\nplatform = "instagram"\nusername = "other"\n'
FILE = f"""# mine
{ACCOUNT}   # ask me before changing it

# what we follow
[[tracks]]
account = "main"
hashtag   =   "sunset"    # the first
# reply = "tint"

[[tracks]]
account = "main"
profile = "someone"  # the second

# Replies, carefully
[replies]
per_day = 3   # few
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_bytes(FILE.encode())
    return path


def add(path: Path, name: str, kind: TrackKind = HASHTAG, styles: Any = None, **keys: Any) -> None:
    add_track(path, NewTrack(kind, name, **keys), environ={}, styles=styles)


def remove(path: Path, name: str, kind: TrackKind = HASHTAG, **keys: Any) -> None:
    remove_track(path, kind, name, environ={}, **keys)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def keys(path: Path) -> list[str]:
    return [track.key for track in load(path, {}).tracks]


def test_adding_puts_one_block_behind_the_others(config: Path) -> None:
    written = {"every": "5m", "dataset": "dawns", "reply": "tint"}
    track = add_track(config, NewTrack(HASHTAG, "#Dawn", **written), styles=["tint"], environ={})
    assert (track.key, track.every) == ("main:hashtag:dawn", timedelta(minutes=5))
    block = (
        '\n[[tracks]]\naccount = "main"\nhashtag = "dawn"\nevery = "5m"\n'
        'dataset = "dawns"\nreply = "tint"\n'
    )
    before, after = FILE.split("\n# Replies, carefully")
    assert config.read_text(encoding="utf-8") == f"{before}{block}\n# Replies, carefully{after}"


def test_what_is_left_out_is_not_written(config: Path) -> None:
    add(config, "someone.else", PROFILE)
    assert tomllib.loads(config.read_text(encoding="utf-8"))["tracks"][2] == {
        "account": "main",
        "profile": "someone.else",
    }


def test_removing_takes_the_block_and_nothing_else(config: Path) -> None:
    remove(config, "someone", PROFILE)
    assert config.read_text(encoding="utf-8") == FILE.replace(
        '[[tracks]]\naccount = "main"\nprofile = "someone"  # the second\n\n', ""
    )


def test_removing_takes_the_comments_that_close_the_block(config: Path) -> None:
    remove(config, "#SUNSET")
    text = config.read_text(encoding="utf-8")
    assert '# reply = "tint"' not in text
    assert "# what we follow\n\n[[tracks]]" in text
    assert keys(config) == ["main:profile:someone"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("text", [FILE, ACCOUNT, FILE[: FILE.index("# Replies")].rstrip() + "\n"])
def test_added_and_removed_is_as_before(config: Path, text: str, mark: str, newline: str) -> None:
    content = (mark + text.replace("\n", newline)).encode()
    config.write_bytes(content)
    add(config, "dawn")
    added = config.read_bytes()
    assert b"\n[[tracks]]" in added
    assert added.count(b"\r\n") == (added.count(b"\n") if newline == "\r\n" else 0)
    remove(config, "dawn")
    assert config.read_bytes() == content


def test_the_example_can_be_edited(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    content = EXAMPLE.read_bytes()
    path.write_bytes(content)
    add(path, "dawn", every="7m")
    assert [
        line for line in path.read_bytes().splitlines() if line not in content.splitlines()
    ] == [
        b'hashtag = "dawn"',
        b'every = "7m"',
    ]
    assert "# reply" in path.read_text().split('"some.name"')[1].split("[[tracks]]")[0]
    remove(path, "dawn")
    assert path.read_bytes() == content


def test_a_file_without_an_end_of_line(config: Path) -> None:
    config.write_text(ACCOUNT.rstrip(), encoding="utf-8")
    add(config, "dawn")
    assert (
        config.read_text(encoding="utf-8")
        == f'{ACCOUNT}\n[[tracks]]\naccount = "main"\nhashtag = "dawn"\n'
    )


def test_a_title_right_below_the_last_track_stays_a_title(config: Path) -> None:
    config.write_text(FILE.replace("second\n\n# Replies", "second\n# Replies"), encoding="utf-8")
    add(config, "dawn")
    assert '"dawn"\n# Replies, carefully\n[replies]' in config.read_text(encoding="utf-8")


def test_an_empty_list_makes_room_for_blocks(config: Path) -> None:
    config.write_text(f"tracks = []  # none yet\n{ACCOUNT}", encoding="utf-8")
    add(config, "dawn")
    assert (
        config.read_text(encoding="utf-8")
        == f'{ACCOUNT}\n[[tracks]]\naccount = "main"\nhashtag = "dawn"\n'
    )


@pytest.mark.parametrize("gap", ["", "\n  "])
def test_a_list_written_as_one_value(config: Path, gap: str) -> None:
    first = "{ account = 'main', hashtag = 'sunset' }"
    config.write_text(f"# top\ntracks = [{gap}{first}]  # mine\n{ACCOUNT}# end\n", encoding="utf-8")
    add(config, "dawn")
    assert keys(config) == ["main:hashtag:sunset", "main:hashtag:dawn"]
    text = config.read_text(encoding="utf-8")
    assert first in text
    assert text.startswith("# top\n")
    assert text.endswith(f"]  # mine\n{ACCOUNT}# end\n")
    remove(config, "sunset")
    assert keys(config) == ["main:hashtag:dawn"]


# --- refusals leave the file alone ---


@pytest.mark.parametrize(
    ("name", "extra", "message"),
    [
        ("#SunSet", {}, 'main follows hashtag "sunset" already'),
        ("two words", {}, 'hashtag: "two words" is not a hashtag'),
        ("dawn", {"every": "5x"}, 'every: "5x" is not a duration'),
        ("dawn", {"dataset": "../x"}, 'dataset: "../x" is not a name'),
        ("dawn", {"reply": "ech", "styles": ["echo"]}, 'reply: "ech" is not one of echo .did you'),
        (
            "dawn",
            {"reply": "tint", "styles": ["echo", "duotone"]},
            'reply: the style "tint" was removed; "duotone" is nearest to it',
        ),
        ("dawn", {"account": "mian"}, 'no account "mian" in the file .did you mean "main"'),
    ],
)  # fmt: skip
def test_wrong_arguments(config: Path, name: str, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        add(config, name, **extra)
    assert config.read_text(encoding="utf-8") == FILE
    assert names(config.parent) == ["config.toml"]


def test_removing_what_is_not_there(config: Path) -> None:
    with pytest.raises(NothingToDo, match=r'no track of hashtag "sunst" .did you mean "sunset"'):
        remove(config, "sunst")
    with pytest.raises(NothingToDo, match=r'^no track of profile "sunset"$'):
        remove(config, "sunset", PROFILE)
    with pytest.raises(UsageError, match=r"^profile: .* is not a user name$"):
        remove(config, "a b", PROFILE)
    assert config.read_text(encoding="utf-8") == FILE


def test_the_account_must_be_said_when_there_are_two(config: Path) -> None:
    config.write_text(FILE + SECOND, encoding="utf-8")
    with pytest.raises(UsageError, match=r"^say which account: main, second$"):
        add(config, "sunset")
    add(config, "sunset", account="second")
    with pytest.raises(UsageError, match=r"say which of main, second$"):
        remove(config, "sunset")
    remove(config, "sunset", account="main")
    assert keys(config) == ["main:profile:someone", "second:hashtag:sunset"]


def test_no_account_at_all(config: Path) -> None:
    config.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="the file has none"):
        add(config, "dawn")


def test_a_wrong_file_is_told_and_left_alone(config: Path) -> None:
    config.write_text(FILE + "per_dya = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'config\.toml:\d+: replies.per_dya: .*"per_day"'):
        add(config, "dawn")
    assert config.read_text(encoding="utf-8") == FILE + "per_dya = 1\n"


# --- the write itself ---


def test_mode_and_link_are_kept(config: Path, tmp_path: Path) -> None:
    config.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(config)
    add(link, "dawn")
    assert link.is_symlink()
    assert config.stat().st_mode & 0o7777 == 0o640
    assert keys(config)[-1] == "main:hashtag:dawn"
    assert names(tmp_path) == ["config.toml", "link.toml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files(config: Path) -> None:
    config.parent.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
            add(config, "dawn")
    finally:
        config.parent.chmod(0o700)
    assert config.read_text(encoding="utf-8") == FILE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_keeps_the_owner(config: Path) -> None:
    os.chown(config, 12345, 12345)
    add(config, "dawn")
    assert (config.stat().st_uid, config.stat().st_gid) == (12345, 12345)


# --- any order of edits ---

COMMENTS = st.sampled_from(["", "\n", "# a note\n", "\n# a note\n", "\n# a note\n\n"])
NAMES = st.sampled_from(["sunset", "dawn", "été", "東京", "a_1"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(COMMENTS, min_size=6, max_size=6),
    start=st.lists(NAMES, unique=True),
    edits=st.lists(NAMES, max_size=6),
)  # fmt: skip
def test_any_edits_give_the_tracks_wanted_and_keep_the_rest(
    config: Path, gaps: list[str], start: list[str], edits: list[str]
) -> None:
    blocks = "".join(
        f"[[tracks]]\naccount = 'main'\nhashtag = '{name}'\n{gap}"
        for name, gap in zip(start, gaps, strict=False)
    )
    config.write_text(
        f"# top\n{ACCOUNT}{gaps[5]}{blocks}# title\n[replies]\nper_day = 3 # few\n",
        encoding="utf-8",
    )
    wanted = list(start)
    for name in edits:
        if name in wanted:
            wanted.remove(name)
            remove(config, name)
        else:
            wanted.append(name)
            add(config, name)
    text = config.read_text(encoding="utf-8")
    assert [track.name for track in load(config, {}).tracks] == wanted
    assert text.startswith(f"# top\n{ACCOUNT}")
    assert "# title\n[replies]\nper_day = 3 # few\n" in text


# --- paused ------------------------------------------------------------------------------------


def pause(path: Path, name: str, kind: TrackKind = HASHTAG, *, paused: bool = True) -> None:
    pause_track(path, kind, name, paused=paused, environ={})


def test_a_pause_is_one_line_and_the_rest_stays(config: Path) -> None:
    pause(config, "sunset")
    text = config.read_text(encoding="utf-8")
    assert text == FILE.replace("# the first\n", "# the first\npaused = true\n")
    assert load(config, {}).tracks[0].paused and not load(config, {}).tracks[1].paused
    with pytest.raises(NothingToDo, match='hashtag "sunset" is paused'):
        pause(config, "sunset")
    pause(config, "sunset", paused=False)
    assert config.read_text(encoding="utf-8") == text.replace("paused = true", "paused = false")
    pause(config, "sunset")
    assert config.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_pause_behind_the_last_line_and_in_one_value(tmp_path: Path, end: str) -> None:
    path = tmp_path / "config.toml"
    block = f'{ACCOUNT}[[tracks]]\naccount = "main"\nhashtag = "a"{end}'
    for text in (block, f'tracks = [{{account = "main", hashtag = "a"}}]  # mine\n{ACCOUNT}'):
        path.write_bytes(text.encode())
        pause(path, "a")
        assert load(path, {}).tracks[0].paused
        assert path.read_text(encoding="utf-8").count("# mine") == text.count("# mine")
