"""A copy of the whole database while it is used, and a database from such a copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from bot.core.errors import StorageError

PAGES = 1000  # copied at once: writers wait no longer than that takes


def name_of(url: str) -> str:
    """How the copy of a database is called."""
    return "tagecho.db" if _file(url) else "tagecho.pgdump"


def copy(url: str, target: Path) -> None:
    """Write all of it, as of one moment, to a new file. Raises StorageError, FileNotFoundError.

    PostgreSQL needs `pg_dump`; FileNotFoundError where it is not installed.
    """
    if (file := _file(url)) is None:
        _run("pg_dump", url, ["--format=custom", "--no-owner", f"--file={target}"])
        return
    try:
        with (
            closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as made,
        ):
            source.backup(made, pages=PAGES)
            made.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StorageError(f"{file}: cannot be copied: {error}") from error


def check(copied: Path) -> None:
    """Read every page of a copy. Raises StorageError, FileNotFoundError."""
    if copied.suffix == ".pgdump":
        # As a script that nobody reads: `--list` would only look at the table of contents.
        _run("pg_restore", "", ["--file=/dev/null", str(copied)])
        return
    try:
        with closing(sqlite3.connect(f"file:{copied}?mode=ro", uri=True)) as database:
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"the copy of the database is damaged: {error}") from error
    if found != "ok":
        raise StorageError(f"the copy of the database is damaged: {found}")


def put(copied: Path, url: str) -> None:
    """Make the database from a copy: all or nothing. Raises StorageError, FileNotFoundError."""
    file = _file(url)
    if (file is None) != (copied.suffix == ".pgdump"):
        here = "PostgreSQL" if file is None else "SQLite"
        raise StorageError(f"the configuration says {here}, and {copied.name} is of another kind")
    if file is None:
        flags = ["--no-owner", "--exit-on-error", "--single-transaction"]
        database = make_url(url).database or ""
        _run("pg_restore", url, [*flags, f"--dbname={database}", str(copied)])
        return
    if file.exists():
        raise StorageError(f"{file} is there already: move it away first")
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(copied, file)


def _file(url: str) -> Path | None:
    """The file of SQLite; None: a server."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.drivername.startswith("sqlite") else None


def _run(program: str, url: str, arguments: list[str]) -> None:
    """The password goes through the environment, where other users cannot read it."""
    environ = {**os.environ, **(_environ(make_url(url)) if url else {})}
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, no shell
        [program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise StorageError(f"{program}: {lines[0].removeprefix(f'{program}: ')}")


def _environ(url: URL) -> dict[str, str]:
    """The URL as variables of libpq: sslmode and sslrootcert of its query, too."""
    said = {
        **{f"PG{name.upper()}": value for name, value in url.query.items()},
        "PGHOST": url.host or url.query.get("host"),
        "PGPORT": str(url.port or url.query.get("port") or ""),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    return {name: str(value) for name, value in said.items() if value}
