"""What strangers wrote reaches a terminal as text only; encodings other than UTF-8 are no fault."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import main as cli
from bot.core.printable import printable
from bot.service.app import App
from tests.datasets import put, settings_at

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b]0;owned\x07\x9b31mred\u202etxt\u2028line \x08\ud83c закат 🏳️‍🌈"


@given(st.text(alphabet=st.characters()))
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    shown = printable(text)
    assert not [
        c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000
    ]
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029\ufeff")
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text", ["закат", "👩‍👩‍👧", "🏴\U000e0067\U000e007f", "é", "می‌خواهم", "a b"]
)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_line_feeds_stay_only_where_they_are_ours() -> None:
    assert printable("one\ntwo") == "one\\ntwo"
    assert printable("one\ntwo", lines=True) == "one\ntwo"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A configuration whose dataset holds one post with a hostile caption."""
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n', encoding="utf-8")
    app = App(settings_at(tmp_path))
    caption = HOSTILE.encode("utf-8", "replace").decode()
    put(app, "p1", caption=f"{caption} #закат", tags=("закат",))
    app.close()
    return path


@pytest.mark.parametrize("encoding", ["ascii", "cp1251"])
@pytest.mark.parametrize(
    "verb",
    [
        ["search", "--hashtag", "закат"],
        ["search", "--hashtag", "закат", "--json"],
        ["stats"],
        ["stats", "--html", "stats.html"],
        ["replies", "html", "replies.html"],
        ["track", "list"],
        ["suggest", "#закат"],
    ],
    ids=" ".join,
)
def test_any_terminal_will_do(
    stored: Path,
    encoding: str,
    verb: list[str],
    own_logging: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(sys, "argv", ["tagecho", *verb, "--config", str(stored)])
    monkeypatch.chdir(stored.parent)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, 8, None)
    printed = {}
    for name, stream in streams.items():
        stream.flush()
        printed[name] = stream.buffer.getvalue()  # type: ignore[attr-defined]
    assert not {0x07, 0x08, 0x1B} & set(printed["stdout"] + printed["stderr"])
    if "--json" in verb:
        (row,) = json.loads(printed["stdout"].decode("utf-8"))
        assert "закат" in row["caption"]
        assert "\x1b" in row["caption"], "JSON says what was stored"
        assert row["taken_at"][10] == "T"
    elif verb[0] == "search":
        said = "закат".encode(encoding, "backslashreplace")
        assert said in printed["stdout"]


@pytest.mark.slow
def test_a_process_in_another_locale(stored: Path) -> None:
    environment = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "bot", "search", "--author", "name-u1", "--config", str(stored)],
        cwd=stored.parent,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u0437" in done.stdout


@pytest.mark.slow
def test_an_argument_that_is_no_text(stored: Path) -> None:
    for words in (b"\xff\xfe", b"--hashtag=\xff"):
        done = subprocess.run(
            [sys.executable, "-m", "bot", "search", words, "--config", str(stored)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 2), "found nothing, or refused"
        assert len(done.stderr.splitlines()) <= 5 and b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2], ids=["stdout", "stderr"])
def test_a_stream_that_is_closed_changes_nothing(stored: Path, number: int) -> None:
    command = [sys.executable, "-m", "bot", "stats", "--config", str(stored)]
    program = f"import os; os.close({number}); os.execv({sys.executable!r}, {command!r})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no Linux")
def test_output_onto_a_full_disk(stored: Path) -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bot", "stats", "--config", str(stored)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (10, b"disk: No space left on device\n")


def test_one_module_prints() -> None:
    """Every other one would have to remember what `bot.cli.output` does."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "bot").rglob("*.py"))
        if path.name != "output.py" and "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert found == []
