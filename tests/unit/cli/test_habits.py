"""What every verb has in common: --version, -h, -v, -q, --config on either side, completion."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from bot.cli.common import log_to
from bot.cli.output import print_rows
from bot.config import Settings
from bot.core.voice import VOICE
from tests.command import Run
from tests.paths import ROOT

TRACK = """\
[accounts.main]
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "main"
hashtag = "{tag}"
"""


@pytest.fixture
def tagecho(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None, tagecho: Run
) -> Run:
    """In a folder with the files one.toml and two.toml, and nothing of the shell's."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(TRACK.format(tag=name), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tagecho


def test_the_version_is_that_of_the_package(tagecho: Run) -> None:
    assert tagecho("--version") == (0, f"tagecho {version('tagecho')}\n", "")


@pytest.mark.parametrize("words", [["-h"], ["track", "-h"], ["track", "add", "-h"]])
def test_h_is_help(tagecho: Run, words: list[str]) -> None:
    short, long = tagecho(*words), tagecho(*words[:-1], "--help")
    assert short == long
    assert short.code == 0
    assert short.out.startswith("Usage: tagecho")


def test_config_before_and_behind_the_verb(tagecho: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest to the verb's end wins; the environment is the last word of none."""
    assert "two" in tagecho("--config", "two.toml", "track", "list").out
    assert "two" in tagecho("track", "list", "--config", "two.toml").out
    assert "one" in tagecho("-c", "two.toml", "track", "list", "-c", "one.toml").out
    monkeypatch.setenv("TAGECHO_CONFIG", "one.toml")
    assert "one" in tagecho("track", "list").out
    assert "two" in tagecho("-c", "two.toml", "track", "list").out


@pytest.mark.parametrize("verb", [["models", "list"], ["upscale", "x.png", "--out", "out"]])
def test_the_image_verbs_take_it_from_everywhere(
    tagecho: Run, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    wrong = (3, "", "none.toml: no such file\n")
    assert tagecho("-c", "none.toml", *verb) == wrong
    assert tagecho(*verb, "-c", "none.toml") == wrong
    Path("odd.toml").write_text("odd = 1\n", encoding="utf-8")
    monkeypatch.setenv("TAGECHO_CONFIG", "odd.toml")
    assert tagecho(*verb).code == 3
    monkeypatch.setenv("TAGECHO_CONFIG", "none.toml")  # as in an image: only where it is mounted
    assert tagecho(*verb).code in {0, 1}


def test_quiet_leaves_data_and_what_went_wrong(tagecho: Run) -> None:
    assert tagecho("check", "-c", "one.toml").err.endswith("(1 account, 1 track)\n")
    for words in (["-q", "check"], ["check", "-q"], ["check", "--quiet"]):
        assert tagecho(*words, "-c", "one.toml") == (0, "", ""), words
    assert tagecho("-q", "track", "list", "-c", "one.toml").out.startswith("track ")
    assert tagecho("-q", "check", "-c", "none.toml") == (3, "", "none.toml: no such file\n")


def test_verbose_logs_more(tagecho: Run) -> None:
    levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
    for flags, loudness in ([], 0), (["-q"], -1), (["-v"], 1), (["-vv"], 2):
        assert tagecho(*flags, "check", "-c", "one.toml").code == 0
        assert VOICE.loudness == loudness
        log_to(Settings(), "warning")
        assert logging.getLogger().level == levels[loudness]
    assert tagecho("-v", "check", "-v", "-c", "one.toml").code == 0
    assert VOICE.loudness == 2


@pytest.mark.slow
def test_completion_is_installed_and_completes(tmp_path: Path) -> None:
    """In a home of its own: the shell's start file is written, and the words are ours."""
    program = tmp_path / "tagecho"
    lines = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    program.write_text(lines + "from bot.__main__ import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    typed = tmp_path / "typed.sh"  # the shell is known by the process that started the program
    typed.write_text(f"{program} --install-completion\nexit $?\n", encoding="utf-8")
    home = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}

    def told(*command: str | Path, **asked: str) -> str:
        done = subprocess.run(
            command,
            env={**home, **asked},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told("bash", typed)
    start = (tmp_path / ".bashrc").read_text(encoding="utf-8")
    assert "tagecho" in start
    asked = {"_TAGECHO_COMPLETE": "complete_bash", "COMP_WORDS": "tagecho re", "COMP_CWORD": "1"}
    assert {"rehearse", "replies", "resume"} <= {*told(program, **asked).split()}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["replies", "show", "9" * 20], 2),
        (["replies", "approve", "9" * 20], 2),
        (["replies", "list", "--limit", "9" * 20], 2),
        (["search", "a", "--limit", "9" * 20], 2),
        (["models", "promote", "--run", "9" * 20], 2),
        (["demo", "--dir", "/proc/none"], 10),
        (["sandbox", "--dir", "/proc/none"], 10),
        (["replies", "html", "/proc/none/x.html"], 10),
        (["init", "--username", "b", "-c", "/proc/none/c.toml"], 10),
        (["backup", "/proc/none/x.tar"], 2),
        (["restore", "none.tar"], 2),
        (["import", "none"], 2),
        (["import", ".", "--dataset", "../up"], 2),
        (["collect", "#a b"], 2),
        (["collect", "@a\x00b"], 2),
        (["collect", "#dusk", "--dataset", "a/b"], 2),
        (["collect", "--from", "utf16.txt"], 2),
        (["collect", "--from", "."], 2),
        (["search", "--image", "."], 2),
        (["segment", "none.png", "--out", "/proc/none"], 2),
        (["models", "evaluate", "--masks", "none"], 2),
        (["search", "--image", "none.png"], 2),
    ],
)
def test_what_an_operator_can_cause_is_one_line_and_its_code(
    tagecho: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.setenv("TAGECHO_CONFIG", "one.toml")
    Path("utf16.txt").write_text("#dusk\n", encoding="utf-16")
    done = tagecho(*words)
    assert (done.code, len(done.err.splitlines()), done.out) == (code, 1, ""), done.err
    assert "Errno" not in done.err and "codec" not in done.err


LISTS = ["track list", "replies list", "dataset list", "snapshot list", "models list", "search a"]


@pytest.mark.parametrize("verb", LISTS)
def test_a_list_is_csv_as_well(tagecho: Run, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The same rows as --json, with a heading; both at once are a mistake."""
    monkeypatch.setenv("TAGECHO_CONFIG", "one.toml")
    as_json, as_csv = tagecho(*verb.split(), "--json"), tagecho(*verb.split(), "--csv")
    assert (as_json.code, as_csv.code) == (0, 0), as_csv.err
    rows = json.loads(as_json.out)
    found = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert len(found) == len(rows)
    assert [list(row) for row in found] == [list(row) for row in rows]
    assert tagecho(*verb.split(), "--csv", "--json").code == 2


def test_cells_say_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"text": 'a "b", c\nd', "when": datetime(2026, 1, 31, 12, tzinfo=UTC), "none": None}
    assert print_rows([row | {"list": ["ä", 1], "on": True}], json=False, csv=True)
    (found,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert found == {
        "text": row["text"],
        "when": "2026-01-31T12:00:00+00:00",
        "none": "",
        "list": '["ä", 1]',
        "on": "true",
    }
