"""Rows of a CSV or JSONL file, or plain image files without any, → posts with their files.

A row names a file; everything else may be missing. What is missing is taken from the file: its
content is the id, its time of change the time. An image without an author is a person of its own,
so that it may be in any split.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.core.errors import UsageError
from bot.core.events import Author, Media
from bot.core.normal_form import hashtag
from bot.sidecars.files import Unusable, inside, opened, parse, read
from bot.sidecars.sidecar import Sidecar, post_of
from bot.sidecars.values import (
    LONGEST_TEXT,
    count_of,
    list_of,
    moment_of,
    plain_id,
    text_of,
    unpacked,
    url_of,
)

PLATFORM = "files"  # of images that are of no network
FIELDS = ("file", "id", "author", "time", "caption", "hashtags", "url", "likes", "platform")
MOST_TABLE = 500_000_000  # bytes
_PLATFORM = re.compile(r"[a-z0-9_.-]{1,40}")
_TAG = re.compile(r"[^\s,;#]+")


@dataclass(frozen=True, slots=True)
class Table:
    """`columns`: which column has which of FIELDS; those of the same name need not be said."""

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)


def columns_of(texts: Sequence[str]) -> dict[str, str]:
    """`["file=name", "author=user"]` by field. Raises UsageError."""
    found = {}
    for text in texts:
        name, sign, column = text.partition("=")
        if not sign or not column or name not in FIELDS:
            raise UsageError(f"--column {text!r}: FIELD=COLUMN, with FIELD of {', '.join(FIELDS)}")
        found[name] = column
    return found


def rows(table: Table) -> list[dict[str, Any]]:
    """By field, with `index`: which image of its post it is. Raises UsageError."""
    try:
        data = read(table.path.resolve(), MOST_TABLE)
        text = data.decode("utf-8-sig")
    except Unusable as error:
        raise UsageError(f"{table.path}: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{table.path}: is not UTF-8 text") from error
    jsonl = table.path.suffix.lower() in {".jsonl", ".ndjson", ".json"}
    named = {name: table.columns.get(name, name) for name in FIELDS}
    listed = list(_lines(table.path, text) if jsonl else _records(table.path, text))
    if listed and not any(named["file"] in row for row in listed):
        known = ", ".join(map(str, listed[0]))
        raise UsageError(f"{table.path}: no column {named['file']!r}; there are {known}")
    seen: Counter[str] = Counter()
    found = []
    for row in listed:
        one = {name: row.get(column) for name, column in named.items()}
        key = text_of(one["id"]) or text_of(one["file"])
        found.append(one | {"index": seen[key]})
        seen[key] += 1
    return found


def _lines(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield parse(line.encode())
            except Unusable as error:
                raise UsageError(f"{path}:{number}: {error}") from error


def _records(path: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        kind = csv.Sniffer().sniff(text[:10_000], ",;\t")
    except csv.Error:
        kind = csv.excel
    try:
        yield from csv.DictReader(io.StringIO(text), dialect=kind, strict=True)
    except csv.Error as error:
        raise UsageError(f"{path}: {error}") from error


def of_row(root: Path, row: Mapping[str, Any]) -> Sidecar:
    """The post of a row. Raises Unusable."""
    path = inside(root, root, row.get("file"))
    id_ = text_of(row.get("id"))
    post_id = plain_id(id_, "id") if id_ else content_id(path)
    who = text_of(row.get("author"))
    platform = text_of(row.get("platform")) or PLATFORM
    if not _PLATFORM.fullmatch(platform):
        raise Unusable("platform: a-z, 0-9, and _ . -")
    time = row.get("time")
    likes = row.get("likes")
    index = int(row.get("index", 0))
    return Sidecar(
        post_of(
            platform,
            post_id,
            Author(platform, plain_id(who, "author") if who else post_id, who),
            taken_at=_changed(path) if time in (None, "") else moment_of(_number(time)),
            url=url_of(row.get("url")),
            caption=text_of(row.get("caption")),
            tags=_tags(row.get("hashtags")),
            media=(Media(index, ""),),
            like_count=count_of(_number(likes)),
            raw={"table": {str(index): dict(row)}},
        ),
        {index: path},
    )


def of_file(root: Path, path: Path) -> Sidecar:
    """The post of a plain image; the names of its folders are hashtags. Raises Unusable."""
    folders = (re.sub(r"\W+", "_", name) for name in path.relative_to(root).parts[:-1])
    return of_row(root, {"file": str(path.relative_to(root)), "hashtags": list(folders)})


def content_id(path: Path) -> str:
    """The same for the same bytes, wherever they lie. Raises Unusable."""
    with opened(path) as file:
        total = hashlib.sha256()
        while part := file.read(1 << 20):
            total.update(part)
    return total.hexdigest()[:40]


def _changed(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise Unusable(error.strerror or "no time") from None


def _number(value: Any) -> Any:
    """A number that a CSV has as text."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else value


def _tags(value: Any) -> list[str]:
    """A list, JSON text of one, or words between spaces, commas, semicolons and #."""
    listed = list_of(value) or list_of(unpacked(value))
    words = listed or _TAG.findall(text_of(value)[:LONGEST_TEXT])
    tags = (hashtag(word.lstrip("#")) for word in words if isinstance(word, str))
    return [tag for tag in tags if tag]
