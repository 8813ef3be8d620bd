"""Original images, from the server of whoever posted them: what an AppView shows is re-encoded."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bot.core.errors import Refused, Unavailable
from bot.net.guarded import Client, Reach, chunks, judge
from bot.platforms.base import Pacer, paced
from bot.platforms.bluesky.settings import BlueskyAccount

_REDIRECTS = 3
_PATIENCE = 4  # a whole download may take this many timeouts
_KNOWN = 2000  # servers of people that are remembered
_DOCUMENT = 200_000  # bytes: a person's document is a few hundred
_SERVICE = "#atproto_pds"


class BlobDownloader:
    """`fetch` may be called from several threads at once. The operator's own server and directory
    may be on a private network; all others are public, by HTTPS."""

    def __init__(self, said: BlueskyAccount, pacer: Pacer) -> None:
        own = frozenset(urlsplit(url).netloc.lower() for url in (said.server, said.directory))
        timeout = said.timeout.total_seconds()
        self._client = Client(
            Reach(("*", *own), own),
            proxies=lambda _url: {},
            ca_file=None,
            timeout=timeout,
            redirects=_REDIRECTS,
        )
        self._patience = _PATIENCE * timeout
        self._directory = said.directory
        self._pacer = pacer
        self._lock = threading.Lock()
        self._servers: dict[str, str] = {}  # of people, by DID; the oldest first

    def fetch(self, address: str, max_bytes: int) -> bytes:
        """The bytes of `bluesky:DID/CID`, which are checked against the CID.

        Raises Refused, TargetGone, RateLimited or Unavailable.
        """
        did, _, cid = address.removeprefix("bluesky:").partition("/")
        with paced(self._pacer, "media"):
            return self._blob(did, cid, max_bytes)

    def close(self) -> None:
        self._client.close()

    def _blob(self, did: str, cid: str, max_bytes: int) -> bytes:
        digest = _sha256_of(cid)
        server, asked_before = self._server(did)
        try:
            body = self._from(server, did, cid, max_bytes)
        except (Refused, Unavailable):
            if not asked_before:
                raise
            self._forget(did)  # they may have moved
            body = self._from(self._server(did)[0], did, cid, max_bytes)
        if hashlib.sha256(body).digest() != digest:
            raise Unavailable(f"{did}: what came is not the image that was named")
        return body

    def _from(self, server: str, did: str, cid: str, max_bytes: int) -> bytes:
        asked = urlencode({"did": did, "cid": cid})
        return self._get(f"{server}/xrpc/com.atproto.sync.getBlob?{asked}", max_bytes)

    def _get(self, url: str, max_bytes: int) -> bytes:
        with self._client.get(url) as response:
            judge(response)
            return b"".join(chunks(response, max_bytes, decode=True, seconds=self._patience))

    def _server(self, did: str) -> tuple[str, bool]:
        """Where a person's repository is, and whether that was known."""
        with self._lock:
            known = self._servers.get(did)
        if known is not None:
            return known, True
        document = self._document(did)
        server = next(
            (
                str(one.get("serviceEndpoint", "")).rstrip("/")
                for one in document.get("service") or ()
                if str(one.get("id", "")).endswith(_SERVICE)
            ),
            "",
        )
        if not server:
            raise Refused(f"{did}: names no server")
        with self._lock:
            self._servers[did] = server
            if len(self._servers) > _KNOWN:
                self._servers.pop(next(iter(self._servers)))
        return server, False

    def _forget(self, did: str) -> None:
        with self._lock:
            self._servers.pop(did, None)

    def _document(self, did: str) -> dict[str, Any]:
        if did.startswith("did:web:"):
            url = f"https://{did.removeprefix('did:web:')}/.well-known/did.json"
        else:
            url = f"{self._directory}/{quote(did)}"
        try:
            found = json.loads(self._get(url, _DOCUMENT))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable(f"{did}: its document cannot be read")
        return found


@functools.lru_cache(maxsize=256)
def _sha256_of(cid: str) -> bytes:
    """The hash in a CID of version 1: raw bytes, SHA-256, base32. Raises Refused for another."""
    try:
        letters = cid.removeprefix("b").upper()
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:
        data = b""
    if not cid.startswith("b") or data[:4] != b"\x01\x55\x12\x20" or len(data) != 36:
        raise Refused(f"{cid}: no hash of an image")
    return data[4:]
