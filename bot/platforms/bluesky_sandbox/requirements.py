"""What the network needs on this machine, and what to do where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

NODE = 20  # its oldest version
PACKAGE = Path(__file__).with_name("package.json")
_INSTALLED = ("@atproto/dev-env", "better-sqlite3/build/Release/better_sqlite3.node")
DATABASE = "postgresql://postgres@127.0.0.1:5432/postgres"


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of its packages: TAGECHO_BLUESKY, else one in this environment of Python."""
    return Path(environ.get("TAGECHO_BLUESKY") or Path(sys.prefix) / "bluesky")


def database(environ: Mapping[str, str] = os.environ) -> str:
    """The PostgreSQL database in which it makes its schemas, and drops them at the end."""
    return environ.get("TAGECHO_BLUESKY_POSTGRES") or DATABASE


def missing(folder: Path) -> str:
    """What is to be installed first, in one line; "" when all is there."""
    for program, package in (("node", "nodejs"), ("redis-server", "redis-server")):
        if shutil.which(program) is None:
            return f"there is no {program}: install it, as with apt install {package}"
    said = subprocess.run(
        ["node", "--version"],  # noqa: S607 - whichever the operator has
        check=True,
        capture_output=True,
        text=True,
    )
    version = said.stdout.strip().removeprefix("v")
    if int(version.partition(".")[0]) < NODE:
        return f"node {version} is too old: install {NODE} or newer"
    if not all((folder / "node_modules" / name).exists() for name in _INSTALLED):
        return (
            f"its packages are not in {folder}: install them with mkdir -p {folder} && "
            f"cp {PACKAGE} {folder} && npm install --prefix {folder}"
        )
    return ""


def unreachable(url: str) -> str:
    """Why this database cannot be used, in one line; "" when it can."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        why = str(error).partition("\n")[0]
        return f"no PostgreSQL server at TAGECHO_BLUESKY_POSTGRES ({why}): start one, or name one"
    return ""
