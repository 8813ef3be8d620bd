"""The command line in the test's own process; `tests/conftest.py` offers it to all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest


class Result(NamedTuple):
    """How a verb ended, and what it printed on stdout and stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def tagecho(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb as `tagecho VERB ...` would."""

    def run(*arguments: str | Path) -> Result:
        from bot.cli import main as cli

        monkeypatch.setattr(sys, "argv", ["tagecho", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code, printed = ended.value.code, capsys.readouterr()
        return Result(0 if code is None else int(code), printed.out, printed.err)

    return run
