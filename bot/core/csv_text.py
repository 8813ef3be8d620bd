"""CSV in which no cell is a formula: what strangers wrote must not compute in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


def csv_lines(
    names: Sequence[str], rows: Iterable[Mapping[str, Any]], end: str = "\r\n"
) -> Iterator[str]:
    """The heading, then a line for each row; a row may lack a name."""
    yield _line(names, end)
    for row in rows:
        yield _line([cell(row.get(name)) for name in names], end)


def cell(value: Any) -> str:
    """Nothing for None; moments in ISO 8601; a list, a map or a yes and no as JSON. A text that a
    spreadsheet would take for a formula gets an apostrophe before it.

    >>> cell("=1+1")
    "'=1+1"
    """
    if value is None:
        return ""
    if isinstance(value, dict | list | tuple | bool):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    text = _plain(value)
    is_formula = not isinstance(value, int | float) and text.startswith(FORMULA)
    return f"'{text}" if is_formula else text


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _line(cells: Sequence[str], end: str) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator=end).writerow(cells)
    return file.getvalue()
