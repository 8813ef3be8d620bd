"""Boots a Bluesky network on this machine: directory, PDS and AppView from npm, in one process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bot.core.errors import Unavailable

_SCRIPT = Path(__file__).with_name("network.cjs")
_START = 120.0  # seconds, for Redis
_TAIL = 2000  # characters of a log


class Booted:
    """Where it is: `plc`, `pds` and `appview` are addresses. Its process takes orders."""

    def __init__(self, process: subprocess.Popen[str], said: Mapping[str, str]) -> None:
        self.plc, self.pds, self.appview = said["plc"], said["pds"], said["appview"]
        self._process = process

    @property
    def events(self) -> str:
        return f"{self.pds.replace('http', 'ws', 1)}/xrpc/com.atproto.sync.subscribeRepos"

    def order(self, **said: Any) -> dict[str, Any]:
        """One of those that network.cjs lists. Raises Unavailable for what fails there."""
        wanted, given = self._process.stdin, self._process.stdout
        if wanted is None or given is None:
            raise Unavailable("the Bluesky network takes no orders")
        wanted.write(json.dumps(said) + "\n")
        wanted.flush()
        answer: dict[str, Any] = json.loads(given.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise Unavailable(f"the Bluesky network: {answer['error']}")
        return answer


@contextmanager
def booted(
    home: Path,
    database: str,
    *,
    domains: Sequence[str] = (".test",),
    limits: Mapping[str, tuple[int, int]] | None = None,
) -> Iterator[Booted]:
    """Started in seconds, on free ports; nothing of it stays.

    `home` has its packages, `database` is the address of a PostgreSQL database. `domains`: what
    handles may end with. `limits`: the PDS keeps to its limits, and those that are named here have
    so many points in so many seconds; None: there are none. Raises Unavailable.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        redis = held.enter_context(_redis(folder))
        schema = "bluesky_" + _letters(time.time_ns())
        held.callback(_drop, database, schema)
        environ = os.environ | {
            "DB_POSTGRES_URL": database,
            "DB_POSTGRES_SCHEMA": schema,
            "REDIS_HOST": redis,
            "NODE_NO_WARNINGS": "1",
            "TMPDIR": str(folder),
            "HANDLE_DOMAINS": json.dumps(list(domains)),
            "RATE_LIMITS": "" if limits is None else json.dumps(limits),
        }
        log = folder / "network.log"
        with log.open("wb") as errors:
            process = held.enter_context(
                subprocess.Popen(  # noqa: S603 - our own script
                    ["node", str(_SCRIPT), str(home)],  # noqa: S607 - whichever the operator has
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            )
        held.callback(process.kill)
        said = process.stdout.readline() if process.stdout is not None else ""
        if not said:
            end = log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
            raise Unavailable(f"the Bluesky network did not start: {end}")
        yield Booted(process, json.loads(said))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Its address."""
    door, port = folder / "redis.sock", _free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command += ["--port", str(port), "--dir", str(folder), "--unixsocket", str(door)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            end = time.monotonic() + _START
            while not door.exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise Unavailable("Redis did not start")
                time.sleep(0.02)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _letters(number: int) -> str:
    """A schema's name has letters only."""
    letters = ""
    while number:
        number, digit = divmod(number, 26)
        letters += chr(ord("a") + digit)
    return letters


def _drop(database: str, schema: str) -> None:
    """What the AppView made ends with this name."""
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"%{schema}",)
        ).fetchall()
        for (name,) in found:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
