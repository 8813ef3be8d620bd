"""CSV for spreadsheets: every kind of value, and no formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from bot.cli.output import print_rows
from bot.core.csv_text import FORMULA, cell, csv_lines


@pytest.mark.parametrize("sign", FORMULA)
def test_what_strangers_wrote_is_no_formula(sign: str) -> None:
    assert cell(f"{sign}cmd|'/c calc'!A0") == f"'{sign}cmd|'/c calc'!A0"
    assert cell(f"a{sign}b") == f"a{sign}b"


def test_numbers_moments_lists_and_nothing() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert [cell(one) for one in (-1, -0.5, None, "", True)] == ["-1", "-0.5", "", "", "true"]
    assert cell(moment) == "2026-03-01T12:00:00+00:00"
    assert cell({"=a": [moment]}) == '{"=a": ["2026-03-01T12:00:00+00:00"]}'


def test_lines_have_a_heading_and_may_lack_a_name() -> None:
    rows = [{"a": "x,y", "b": 'say "so"'}, {"b": "two\nlines"}]
    lines = list(csv_lines(["a", "b"], rows))
    assert lines[0] == "a,b\r\n" and len(lines) == 3
    read = list(csv.DictReader(io.StringIO("".join(lines), newline="")))
    assert read == [{"a": "x,y", "b": 'say "so"'}, {"a": "", "b": "two\nlines"}]


def test_verbs_print_no_formula_and_nothing_that_acts_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert print_rows([{"author": "@ann", "caption": "=1+1\x1b[2J"}], json=False, csv=True)
    assert capsys.readouterr().out == "author,caption\n'@ann,'=1+1\\x1b[2J\n"
