"""A real Bluesky network on this machine: directory, PDS and AppView from npm, in one process.

It needs Node 20 or newer, Redis, the tests' PostgreSQL server, and the packages that
`make e2e-bluesky` installs. Its people use the plain client.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from atproto import Client
from sqlalchemy import URL

from tests.databases import find_server
from tests.paths import ROOT
from tests.waiting import eventually, killed_at_the_end

HOME = Path(os.environ.get("TAGECHO_BLUESKY", ROOT / ".venv" / "bluesky"))
PASSWORD = "correct horse"
POSTS = "app.bsky.feed.post"
_SCRIPT = Path(__file__).with_name("network.cjs")
_NODE = 20


def why_not() -> str:
    """Why there can be none here; "" when there can."""
    for name in ("node", "redis-server"):
        if shutil.which(name) is None:
            return f"no {name} here"
    version = subprocess.run(
        ["node", "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < _NODE:
        return f"node {version} is older than {_NODE}"
    if not (HOME / "node_modules" / "@atproto" / "dev-env").is_dir():
        return f"no Bluesky in {HOME}: `make e2e-bluesky` installs it"
    return find_server(os.environ)[1]


class Person:
    """Somebody on the network, with the plain client."""

    def __init__(self, server: str, name: str) -> None:
        self.handle = f"{name}.test"
        self.client = Client(server)
        account = {"email": f"{name}@mail.test", "handle": self.handle, "password": PASSWORD}
        self.client.com.atproto.server.create_account(account)
        self.client.login(self.handle, PASSWORD, fetch_bsky_profile=False)
        session = self.client._session
        assert session is not None
        self.did = session.did

    def post(
        self, text: str, image: bytes = b"", mention: Person | None = None, **more: Any
    ) -> str:
        """Returns its id. `more`: of the record."""
        record: dict[str, Any] = {
            "$type": POSTS,
            "text": text,
            "createdAt": self.client.get_current_time_iso(),
        }
        if image:
            blob = self._sent("com.atproto.repo.uploadBlob", image, "image/jpeg")["blob"]
            shown = [{"alt": "", "image": blob}]
            record["embed"] = {"$type": "app.bsky.embed.images", "images": shown}
        if mention is not None:
            text += f" @{mention.handle}"
            record["text"] = text
            end = len(text.encode())
            index = {"byteStart": end - len(mention.handle) - 1, "byteEnd": end}
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": mention.did}
            record["facets"] = [{"index": index, "features": [feature]}]
        return self.put(record | more)

    def put(self, record: dict[str, Any], **more: Any) -> str:
        """A record of any kind. `key`: where it has one of its own."""
        body = {"repo": self.did, "collection": record["$type"], "record": record}
        if key := more.get("key"):
            body["rkey"] = key
        made = self._sent("com.atproto.repo.createRecord", json.dumps(body), "application/json")
        return str(made["uri"])

    def _sent(self, method: str, content: str | bytes, mime: str) -> dict[str, Any]:
        headers = {"Content-Type": mime}
        found = self.client.invoke_procedure(method, content=content, headers=headers).content
        assert isinstance(found, dict)
        return found

    def burst(self, texts: list[str]) -> None:
        """Up to 200 posts in one commit."""
        when = self.client.get_current_time_iso()
        writes = [
            {
                "$type": "com.atproto.repo.applyWrites#create",
                "collection": POSTS,
                "value": {"$type": POSTS, "text": text, "createdAt": when},
            }
            for text in texts
        ]
        body = json.dumps({"repo": self.did, "writes": writes})
        self._sent("com.atproto.repo.applyWrites", body, "application/json")

    def remove(self, uri: str) -> None:
        self.client.delete_post(uri)

    def records(self) -> list[dict[str, Any]]:
        """All posts in the repository, on the PDS."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            asked = f"com.atproto.repo.listRecords?repo={self.did}&collection={POSTS}&limit=100"
            page = self.client.invoke_query(asked + more).content
            assert isinstance(page, dict)
            found += page["records"]
            cursor = page.get("cursor")
            if cursor is None:
                return found

    def replies_to(self, uri: str) -> list[dict[str, Any]]:
        under = [one["value"] for one in self.records()]
        return [one for one in under if one.get("reply", {}).get("parent", {}).get("uri") == uri]


class Network:
    """Where it is: `plc`, `pds` and `appview` are addresses."""

    def __init__(self, said: dict[str, str]) -> None:
        self.plc, self.pds, self.appview = said["plc"], said["pds"], said["appview"]
        self._people: list[Person] = []

    @property
    def events(self) -> str:
        return f"{self.pds.replace('http', 'ws', 1)}/xrpc/com.atproto.sync.subscribeRepos"

    def join(self, name: str) -> Person:
        self._people.append(Person(self.pds, name))
        return self._people[-1]

    def close(self) -> None:
        for one in self._people:
            one.client.request.close()


@contextmanager
def network() -> Iterator[Network]:
    """Booted in seconds, on free ports; nothing of it stays."""
    server, problem = find_server(os.environ)
    assert server is not None, problem
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        redis = held.enter_context(_redis(folder))
        schema = "bluesky_" + _letters(time.time_ns())
        held.callback(_drop, server, schema)
        plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
        environ = os.environ | {
            "DB_POSTGRES_URL": plain,
            "DB_POSTGRES_SCHEMA": schema,
            "REDIS_HOST": redis,
            "NODE_NO_WARNINGS": "1",
        }
        with (folder / "network.log").open("wb") as log:
            process = held.enter_context(
                subprocess.Popen(
                    ["node", str(_SCRIPT), str(HOME)],
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            )
        held.enter_context(killed_at_the_end(process))
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, (folder / "network.log").read_text()[-2000:]
        made = Network(json.loads(said))
        held.callback(made.close)
        yield made


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Its address. It takes a free port by itself, and tells it in a file."""
    door = folder / "redis.sock"
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    port = _free_port()
    command += ["--port", str(port), "--dir", str(folder), "--unixsocket", str(door)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        killed_at_the_end(process),
    ):
        eventually("Redis is up", lambda: door.exists() or process.poll() is not None)
        assert process.poll() is None, "Redis did not start"
        yield f"127.0.0.1:{port}"


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


def _drop(server: URL, schema: str) -> None:
    """What the AppView made ends with this name."""
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"%{schema}",)
        ).fetchall()
        for (name,) in found:
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')
