"""Where in a TOML text each key and value stands.

`tomllib` gives values without positions. This scanner gives positions without values, for a text
that `tomllib` has already accepted, so it checks nothing.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from bot.schema.problems import Path

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand before the closing three
    r"|'''[\s\S]*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


class Span(NamedTuple):
    """Character offsets [start, end): from the key or header to the end of its value or header."""

    start: int
    end: int


def locate(text: str) -> dict[Path, Span]:
    """The span of every table, key and array element of a valid TOML text.

    A table that only headers or dotted keys below it imply has the span of the first of these.
    Raises RecursionError when values are nested some hundred levels deep.
    """
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans: dict[Path, Span] = {}
        self.lengths: dict[Path, int] = {}  # of arrays of tables

    def run(self) -> dict[Path, Span]:
        table: Path = ()
        while self.blank() < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
        return self.spans

    def header(self) -> Path:
        start, double = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        self.blank()
        *parents, last = self.key()
        self.blank()
        self.at += 2 if double else 1
        path: Path = ()
        for name in parents:
            path = self.latest((*path, name), start)
        path = (*path, last)
        if double:
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = self.latest(path, start)
        self.spans[path] = Span(start, self.at)
        return path

    def latest(self, path: Path, start: int) -> Path:
        """`path` itself, or its newest element where it is an array of tables."""
        self.spans.setdefault(path, Span(start, self.at))
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def pair(self, table: Path) -> None:
        start, path = self.at, table
        names = self.key()
        self.blank()
        self.at += 1  # the equals sign
        self.blank()
        self.value((*table, *names))
        for name in names[:-1]:
            path = (*path, name)
            self.spans.setdefault(path, Span(start, self.at))
        self.spans[*table, *names] = Span(start, self.at)

    def key(self) -> list[str]:
        names = [self.key_part()]
        while dot := _DOT.match(self.text, self.at):
            self.at = dot.end()
            names.append(self.key_part())
        return names

    def key_part(self) -> str:
        quoted = self.text[self.at] in "\"'"
        raw = self.take(_STRING if quoted else _BARE_KEY)
        return str(tomllib.loads(f"key = {raw}")["key"]) if quoted else raw

    def value(self, path: Path) -> None:
        start, first = self.at, self.text[self.at]
        if first in "\"'":
            self.take(_STRING)
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            self.at = start + len(self.take(_SCALAR).rstrip())
        self.spans[path] = Span(start, self.at)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self.text[self.blank()] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.value((*path, index))
            index += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while self.text[self.blank()] != "}":
            if self.text[self.at] == ",":
                self.at += 1
            else:
                self.pair(path)
        self.at += 1

    def blank(self) -> int:
        self.take(_BLANK)
        return self.at

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"no TOML at offset {self.at}")
        self.at = found.end()
        return found[0]
