"""Where verbs print: data to stdout, messages to stderr, nothing that acts on a terminal.

JSON is UTF-8 always. Text for people is in the terminal's encoding; what that lacks is spelled out.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from bot.core.errors import UsageError
from bot.core.printable import printable
from bot.core.voice import VOICE


def prepare_streams() -> None:
    """Characters that the terminal's encoding lacks are spelled out instead of an error; what a
    closed stream is told is lost."""
    VOICE.loudness = 0
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def give_up_streams() -> None:
    """Nothing more is printed. What a stream did not take is lost: Python would try again when it
    ends, print an error, and end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with _nowhere() as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def echo(text: object) -> None:
    """A line of data, or several, on stdout."""
    print(printable(text, lines=True))


def say(text: object) -> None:
    """A message on stderr; not with -q."""
    if not VOICE.quiet:
        complain(text)


def complain(text: object) -> None:
    """What went wrong, on stderr; lost when nobody can be told."""
    with contextlib.suppress(OSError):
        print(printable(text, lines=True), file=sys.stderr)


def counted(number: int, thing: str) -> str:
    """`1 reply`, `2 replies`."""
    if number == 1:
        return f"1 {thing}"
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number} {plural}"


def following(documents: Iterable[object], every: float) -> NoReturn:
    """Show each document in the place of the one before, until Ctrl-C; `every`: seconds between.

    Texts are for people. What is no text, and what nobody reads on a terminal, is written below the
    one before, and only if it differs: texts as they are, the rest as a line of JSON each.
    """
    screen, before = sys.stdout.isatty(), ""
    for document in documents:
        text = printable(document, lines=True) if isinstance(document, str) else _line(document)
        if screen and isinstance(document, str):
            print(f"\x1b[H\x1b[2J{text}", flush=True)  # home, and clear
        elif text != before:
            print(text, flush=True)
        before = text
        time.sleep(every)
    raise AssertionError("there is always a next document")


def _line(value: object) -> str:
    import json

    return _escaped(json.dumps(value, ensure_ascii=False, default=_json))


def print_json(value: Any) -> None:
    """One JSON document on stdout: UTF-8, moments in ISO 8601."""
    import json

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    document = json.dumps(value, ensure_ascii=False, indent=2, default=_json)
    print("\n".join(map(_escaped, document.split("\n"))))


def print_rows(rows: list[dict[str, Any]], *, json: bool, csv: bool) -> bool:
    """A list as one JSON document, or as CSV with a heading; False when neither is wanted."""
    if json and csv:
        raise UsageError("--json and --csv exclude each other")
    if json:
        print_json(rows)
    elif csv:
        _print_csv(rows)
    return json or csv


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """UTF-8; see `bot.core.csv_text`. What would act on a terminal is spelled out."""
    from bot.core.csv_text import csv_lines

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for line in csv_lines(columns, rows, "\n"):
        print(printable(line, lines=True), end="")


def _escaped(line: str) -> str:
    """JSON whose unprintable characters are JSON's own escapes: it says the same."""
    if line.isprintable():
        return line
    return "".join(c if printable(c) == c else f"\\u{ord(c):04x}" for c in line)


def _json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
