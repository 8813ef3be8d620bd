"""The habits of the suite itself: it holds on a busy machine, and a test is found by its room."""

from __future__ import annotations

import ast
import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import is_expected
from tests.paths import ROOT

TESTS = ROOT / "tests"
FILES = {path.relative_to(TESTS).as_posix(): path for path in TESTS.rglob("*.py")}
CODE = [name for name in FILES if name not in ("waiting.py", "unit/test_suite.py")]


@functools.cache
def parsed(name: str) -> ast.AST:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def nodes(name: str) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(parsed(name)):
        yield f"{name}:{getattr(node, 'lineno', 0)}", node


def test_only_one_helper_sleeps() -> None:
    """Also no program that a test writes for a child process."""
    found = [
        where
        for name in CODE
        for where, node in nodes(name)
        if (isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep")
        or (isinstance(node, ast.ImportFrom) and node.module == "time")
        or (isinstance(node, ast.Constant) and "time.sleep(" in str(node.value))
    ]
    assert found == [], "wait by tests.waiting.eventually"


def test_limits_of_time_stand_in_one_place() -> None:
    """Deadlines of hypothesis, the limit of pytest, the patience of whoever waits for a process."""
    found = [
        where
        for name in CODE
        for where, node in nodes(name)
        if (isinstance(node, ast.keyword) and node.arg == "deadline" and name != "conftest.py")
        or ast.unparse(node).startswith("pytest.mark.timeout")
    ]
    assert found == []


def test_every_kind_of_end_to_end_test_starts_a_real_command_too() -> None:
    """A forked process does not show what goes wrong while it is imported."""
    ways = ("sys.executable", "by_command=True")
    only_forked = [
        name
        for name in CODE
        if name.startswith("e2e/test_")
        and not any(ast.unparse(node) in ways for _, node in nodes(name))
    ]
    assert only_forked == []


def test_the_folders_of_unit_are_rooms_of_the_tree() -> None:
    folders = {path.parent.relative_to(TESTS / "unit").as_posix() for path in units()}
    rooms = {path.name for path in ROOT.glob("bot/*/")} | {"models", "storage", "research"}
    assert folders <= rooms


def units() -> list[Path]:
    return [path for path in (TESTS / "unit").rglob("test_*.py") if path.parent.name != "unit"]


def test_an_area_that_does_not_exist_is_refused() -> None:
    """Rather than all tests run, which is what pytest does without a path."""
    done = make("test-area", "AREA=nothing")
    assert done.returncode == 2 and "no such area: 'nothing'" in done.stderr
    assert make("test-area").returncode == 2


def test_an_area_is_a_room_wherever_its_tests_are() -> None:
    listed = make("--just-print", "test-area", "AREA=dataset contract docs").stdout
    (line,) = [line for line in listed.splitlines() if "-m pytest" in line]
    paths = [word for word in line.split() if word.startswith("tests/")]
    assert paths == ["tests/unit/dataset", "tests/contract", "tests/unit/test_docs.py"]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Nothing is installed: the stamp counts as new."""
    command = ["make", "--assume-old=.venv/test.stamp", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_ci_looks_at_style_before_it_tests() -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    order = ["make lint", "make postgres", "make test", "make wheel"]
    assert [line for line in steps if line in order] == order


@pytest.mark.parametrize(
    ("environ", "code"),
    [({}, 0), ({"TAGECHO_EXPECT_POSTGRES": "1"}, 1), ({"TAGECHO_EXPECT_POSTGRES": ""}, 0)],
)
def test_a_server_that_is_expected_must_be_there(environ: dict[str, str], code: int) -> None:
    assert is_expected(environ) is bool(code)
    nowhere = {"TAGECHO_TEST_POSTGRES": "postgresql+psycopg://nobody@127.0.0.1:1/nothing"}
    assert is_expected(environ | nowhere), "who names one wants it"
    program = f"from tests import databases; databases.USUAL = {tuple(nowhere.values())!r}; "
    program += "raise SystemExit(databases.main())"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TAGECHO_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=kept | environ, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "no PostgreSQL server:" in done.stdout


def test_blas_has_one_thread_here_and_in_what_is_started() -> None:
    program = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['OPENBLAS_NUM_THREADS'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        os.environ["OMP_NUM_THREADS"],
        os.environ["OPENBLAS_NUM_THREADS"],
    ]


def test_the_shell_does_not_decide_how_the_processes_of_tests_run() -> None:
    """As in a shell that keeps no compiled code, and in the background of a script."""
    child = "import signal, sys; print(sys.dont_write_bytecode, signal.getsignal(signal.SIGINT))"
    program = f"import subprocess, sys, tests; subprocess.run([sys.executable, '-c', {child!r}])"
    script = f"trap '' INT; exec {shlex.quote(sys.executable)} -c {shlex.quote(program)}"
    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("False <built-in function default_int_handler>")
