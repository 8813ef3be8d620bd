"""People on the network, by its plain HTTP API: who they are, and how they post."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bot.core.errors import Unavailable
from bot.platforms.loopback.crowd import OPT_IN, Crowd
from bot.platforms.sandbox.photos import Gallery

PASSWORD = "abcd-efgh-ijkl-mnop"  # noqa: S105 - opens nothing but this network
DOMAIN = ".test"  # of handles that name none
_POSTS, _PROFILE = "app.bsky.feed.post", "app.bsky.actor.profile"
_NAMES = ("ana-lima", "bjork", "chidi", "daria-k", "emre", "fatima-z", "giulia", "haruto")
_PAGE = 100
_TIMEOUT = 60.0  # seconds


def handle(name: str) -> str:
    """A handle, as an operator writes it; of a name without a domain, one of this network."""
    name = name.removeprefix("@").lower()
    return name if "." in name else name + DOMAIN


class Resident:
    """Somebody with an account on the PDS. Calls may come from several threads."""

    def __init__(self, server: str, name: str) -> None:
        self._http = httpx.Client(base_url=f"{server}/xrpc/", timeout=_TIMEOUT, trust_env=False)
        self._lock = threading.Lock()
        account = {"handle": name, "email": f"{name}@mail.test", "password": PASSWORD}
        self.handle, self._token = name, ""
        made = self._call("com.atproto.server.createAccount", json=account)
        self.did, self._token = str(made["did"]), str(made["accessJwt"])

    def describe(self, words: str, labels: Sequence[str] = ()) -> None:
        """What their profile says, and the labels that they give themselves."""
        record: dict[str, Any] = {"$type": _PROFILE, "description": words}
        if labels:
            values = [{"val": one} for one in labels]
            record["labels"] = {"$type": "com.atproto.label.defs#selfLabels", "values": values}
        body = {"repo": self.did, "collection": _PROFILE, "rkey": "self", "record": record}
        self._write("com.atproto.repo.putRecord", json=body)

    def post(self, text: str, image: bytes, mentioned: Resident | None = None) -> None:
        """`mentioned`: where their handle stands in the text, it is a mention."""
        jpeg = {"Content-Type": "image/jpeg"}
        blob = self._write("com.atproto.repo.uploadBlob", content=image, headers=jpeg)["blob"]
        record: dict[str, Any] = {
            "$type": _POSTS,
            "text": text,
            "createdAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "embed": {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": blob}]},
        }
        if mentioned is not None and (where := text.find(f"@{mentioned.handle}")) >= 0:
            start = len(text[:where].encode())
            end = start + len(mentioned.handle) + 1
            feature = {"$type": "app.bsky.richtext.facet#mention", "did": mentioned.did}
            index = {"byteStart": start, "byteEnd": end}
            record["facets"] = [{"index": index, "features": [feature]}]
        body = {"repo": self.did, "collection": _POSTS, "record": record}
        self._write("com.atproto.repo.createRecord", json=body)

    def replies(self) -> dict[str, int]:
        """How many replies of theirs with an image there are to each post."""
        counts: dict[str, int] = {}
        asked: dict[str, Any] = {"repo": self.did, "collection": _POSTS, "limit": _PAGE}
        while True:
            page = self._call("com.atproto.repo.listRecords", params=asked)
            for one in page["records"]:
                record = one["value"]
                if record.get("embed") and record.get("reply"):
                    parent = str(record["reply"]["parent"]["uri"])
                    counts[parent] = counts.get(parent, 0) + 1
            if not page.get("cursor"):
                return counts
            asked["cursor"] = page["cursor"]

    def close(self) -> None:
        self._http.close()

    def _write(self, method: str, **request: Any) -> dict[str, Any]:
        """A session lasts for two hours; then there is a new one."""
        with self._lock:
            try:
                return self._call(method, **request)
            except _Ended:
                said = {"identifier": self.did, "password": PASSWORD}
                self._token = ""
                made = self._call("com.atproto.server.createSession", json=said)
                self._token = str(made["accessJwt"])
            return self._call(method, **request)

    def _call(self, method: str, **request: Any) -> dict[str, Any]:
        headers = dict(request.pop("headers", {}))
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = self._http.request(
                "GET" if "params" in request else "POST", method, headers=headers, **request
            )
            said: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{self.handle}: {method}: {type(error).__name__}") from error
        if answer.is_success:
            return said
        if said.get("error") == "ExpiredToken":
            raise _Ended(method)
        raise Unavailable(f"{self.handle}: {method}: {said}")


class _Ended(Exception):
    """The session expired."""


def crowd(
    server: str,
    folder: Path,
    *,
    bot: Resident,
    opt_in: str = OPT_IN,
    hashtags: Sequence[str] = (),
    profiles: Sequence[str] = (),
    rate: float = 0.0,
    seed: int = 0,
) -> Crowd:
    """They have joined, and post nothing before they are started. `profiles`: more of them."""
    names = [handle(name) for name in (*_NAMES, *profiles)]
    people = {name: Resident(server, name) for name in dict.fromkeys(names) if name != bot.handle}
    unasked = {name: Resident(server, name) for name in (handle("quote-bot"), handle("in-peace"))}
    for name, words, labels in (
        ("quote-bot", "Quotes, all day.", ("bot",)),
        ("in-peace", "I like people. #nobot", ()),
    ):
        unasked[handle(name)].describe(words, labels)
    gallery, everybody = Gallery(folder, seed), people | unasked

    def publish(author: str, text: str, photo: int) -> None:
        image = gallery.read(gallery.pick(photo).key)
        everybody[author].post(text, image, bot)

    return Crowd(
        publish,
        people=tuple(people),
        unasked=tuple(unasked),
        bot=bot.handle,
        opt_in=opt_in,
        hashtags=hashtags,
        rate=rate,
        seed=seed,
    )
