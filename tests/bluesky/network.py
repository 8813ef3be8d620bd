"""A real Bluesky network on this machine, and its people, who use the plain client.

It needs Node 20 or newer, Redis, the tests' PostgreSQL server, and the packages that
`make e2e-bluesky` installs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from atproto import Client

from bot.platforms.bluesky_sandbox.boot import Booted, booted
from bot.platforms.bluesky_sandbox.requirements import home, missing
from tests.databases import find_server

PASSWORD = "correct horse"
POSTS = "app.bsky.feed.post"


def why_not() -> str:
    """Why there can be none here; "" when there can."""
    if problem := missing(home()):
        return f"{problem} (`make e2e-bluesky` installs the packages)"
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
    """With people who join it. `pds` and `plc` are addresses."""

    def __init__(self, made: Booted) -> None:
        self.plc, self.pds, self.order = made.plc, made.pds, made.order
        self._people: list[Person] = []

    def join(self, name: str) -> Person:
        self._people.append(Person(self.pds, name))
        return self._people[-1]

    def hold(self, method: str, person: Person, *, after: bool) -> None:
        """Their next request of it to the PDS is never answered. `after`: it is carried out."""
        self.order(hold=method, of=person.did, after=after)

    def held(self) -> int:
        """How many requests were held so far."""
        return int(self.order(held=True)["held"])

    def answered(self, method: str) -> dict[str, int]:
        """How often the PDS answered a method, by status."""
        return self.order(answered=method)

    def stop(self) -> None:
        """Take the PDS away, with all its connections."""
        self.order(stop=True)

    def start(self) -> None:
        """A PDS that was stopped, at its address, with what it has on its disk."""
        self.order(start=True)

    def close(self) -> None:
        for one in self._people:
            one.client.request.close()


@contextmanager
def network(limits: dict[str, tuple[int, int]] | None = None) -> Iterator[Network]:
    """`limits`: of the PDS, as `booted` has them."""
    server, problem = find_server(os.environ)
    assert server is not None, problem
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with booted(home(), plain, limits=limits) as process:
        made = Network(process)
        try:
            yield made
        finally:
            made.close()
