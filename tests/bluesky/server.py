"""A loopback Bluesky, as small as the tests need: one server of the XRPC methods that are used.

Written from the public lexicons. It is a PDS, an AppView, a directory and a Jetstream in one, with
faults on demand: what a real network does not do when it is asked to.

    with Server() as network:
        network.join("ana")
        uri = network.publish("ana", "#dawn", images=(data,))
        network.fail("com.atproto.repo.putRecord", Fault.LOST_AFTER)
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from bot.platforms.bluesky.record_key import encode
from bot.platforms.memory.network import Fault

POSTS, PROFILE = "app.bsky.feed.post", "app.bsky.actor.profile"
PASSWORD = "abcd-efgh-ijkl-mnop"
READING = "app.bsky.feed.getPosts"
_HTML = b"<html>Forbidden</html>"
Answer = tuple[int, dict[str, Any] | bytes, dict[str, str]]


class No(Exception):
    """An answer that is an error."""

    def __init__(self, name: str, message: str = "", status: int = 400) -> None:
        super().__init__(name)
        self.answer: Answer = (status, {"error": name, "message": message}, {})


@dataclass
class Person:
    did: str
    handle: str
    description: str = ""
    labels: list[str] = field(default_factory=list)
    viewer: dict[str, Any] = field(default_factory=dict)


@dataclass
class Record:
    uri: str
    cid: str
    value: dict[str, Any]
    at: int  # microseconds
    labels: list[str] = field(default_factory=list)
    closed: bool = False  # its author lets nobody reply
    gone: bool = False
    hidden: bool = False  # not indexed yet


class Server:
    """`handle`: our account. A page holds `per_page` posts."""

    def __init__(self, handle: str = "bot.test", per_page: int = 20) -> None:
        self.per_page = per_page
        self.people: dict[str, Person] = {}
        self.records: list[Record] = []
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []  # the methods that were called
        self.uploads = 0
        self.revoked: set[str] = set()  # tokens
        self.suspended = False
        self.password = PASSWORD
        self.token_seconds = 7200
        self.reset_seconds = 60  # until a limit counts anew
        self.headers: dict[str, str] = {}  # of every answer
        self.profile: dict[str, Any] | None = {  # the record of our account; None: there is none
            "$type": PROFILE,
            "labels": {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "bot"}]},
        }
        self._faults: dict[str, list[Fault]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._last = 0
        self.me = self.join(handle.partition(".")[0])
        self._ports = (0, 0)
        self.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def events(self) -> str:
        return f"ws://127.0.0.1:{self._ports[1]}/subscribe"

    def start(self) -> None:
        """Listen; again on the ports that it had."""
        self.closing = False
        self._http = ThreadingHTTPServer(("127.0.0.1", self._ports[0]), _handler(self))
        self._events = serve(self._tell, "127.0.0.1", self._ports[1])
        self._ports = (self._http.server_address[1], self._events.socket.getsockname()[1])
        self._threads = [
            threading.Thread(target=one, daemon=True)
            for one in (self._http.serve_forever, self._events.serve_forever)
        ]
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Nobody answers; what there is stays."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        self._events.shutdown()
        self._http.shutdown()
        self._http.server_close()
        for one in self._threads:
            one.join()

    # --- what people do ---------------------------------------------------------------------------

    def join(self, name: str) -> Person:
        letters = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()
        did = f"did:plc:{letters[:24]}"
        with self._changed:
            return self.people.setdefault(did, Person(did, f"{name}.test"))

    def publish(self, name: str, text: str, images: tuple[bytes, ...] = (), **more: Any) -> str:
        """A post, as a client writes it. `mention`: the DID that its first mention is of."""
        person = self.join(name)
        value: dict[str, Any] = {"$type": POSTS, "text": text, "createdAt": _now()}
        if images:
            shown = [{"alt": "", "image": self.keep(one, "image/png")} for one in images]
            value["embed"] = {"$type": "app.bsky.embed.images", "images": shown}
        if did := more.pop("mention", ""):
            start = len(text[: text.index("@")].encode())
            value["facets"] = [
                {
                    "index": {"byteStart": start, "byteEnd": start + 5},
                    "features": [{"$type": "app.bsky.richtext.facet#mention", "did": did}],
                }
            ]
        return self.write(person.did, encode(self._moment(), 7), value | more).uri

    def write(self, did: str, key: str, value: dict[str, Any]) -> Record:
        with self._changed:
            letters = base64.b32encode(hashlib.sha256(json.dumps(value).encode()).digest())
            cid = "bafyrei" + letters.decode().lower().rstrip("=")
            made = Record(f"at://{did}/{POSTS}/{key}", cid, value, self._moment())
            self.records.append(made)
            self._changed.notify_all()
            return made

    def keep(self, data: bytes, mime: str) -> dict[str, Any]:
        cid = b"\x01\x55\x12\x20" + hashlib.sha256(data).digest()
        name = "b" + base64.b32encode(cid).decode().lower().rstrip("=")
        self.blobs[name] = data
        return {"$type": "blob", "ref": {"$link": name}, "mimeType": mime, "size": len(data)}

    def record(self, uri: str) -> Record:
        with self._changed:
            return next(one for one in self.records if one.uri == uri and not one.gone)

    def remove(self, uri: str) -> None:
        self.record(uri).gone = True

    def replies(self) -> list[Record]:
        """Ours that are there."""
        with self._changed:
            return [one for one in self._of(self.me.did) if one.value.get("reply")]

    def fail(self, method: str, fault: Fault, times: int = 1) -> None:
        with self._changed:
            self._faults.setdefault(method, []).extend([fault] * times)

    def clear(self) -> None:
        with self._changed:
            self._faults.clear()

    # --- what clients ask -------------------------------------------------------------------------

    def answer(
        self, method: str, asked: dict[str, list[str]], body: bytes, token: str
    ) -> Answer | None:
        """None: the connection breaks."""
        with self._changed:
            self.requests.append(method)
            waiting = self._faults.get(method, [])
            fault = waiting.pop(0) if waiting else None
            if fault not in (None, Fault.LOST_AFTER):
                return self._failed(fault, method)
            try:
                given = json.loads(body) if body[:1] == b"{" else {}
                self._authorise(method, token)
                found = self._METHODS[method](self, asked, given or body)
                answer: Answer = (200, found, {})
            except KeyError:
                answer = No("MethodNotImplemented", method, 501).answer
            except No as no:
                answer = no.answer
            return None if fault is Fault.LOST_AFTER else answer

    def _failed(self, fault: Fault | None, method: str) -> Answer | None:
        if policy := _LIMITS.get(fault):
            return _limited(policy, self.reset_seconds)
        return _FAILED[fault](method) if fault in _FAILED else None

    def document(self, did: str) -> dict[str, Any]:
        service = {
            "id": "#atproto_pds",
            "type": "AtprotoPersonalDataServer",
            "serviceEndpoint": self.url,
        }
        return {"id": did, "service": [service]}

    def _authorise(self, method: str, token: str) -> None:
        if method in ("com.atproto.server.createSession", "com.atproto.sync.getBlob"):
            return
        if self.suspended:
            raise No("AccountTakedown", "Account has been taken down")
        if token in self.revoked:
            raise No("ExpiredToken", "Token has been revoked")
        if not token:
            raise No("AuthMissing", "Authentication Required", 401)
        if json.loads(_unpadded(token.split(".")[1]))["exp"] < time.time():
            raise No("ExpiredToken", "Token has expired")

    def _session(self) -> dict[str, Any]:
        long = 90 * 86400
        return {
            "accessJwt": self._token("access", self.token_seconds),
            "refreshJwt": self._token("refresh", long),
            "did": self.me.did,
            "handle": self.me.handle,
            "active": True,
        }

    def _token(self, scope: str, seconds: int) -> str:
        claims = {"scope": scope, "sub": self.me.did, "exp": int(time.time()) + seconds}
        claims["jti"] = str(self._moment())
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts]
        return ".".join([*(one.rstrip("=") for one in coded), "c2ln"])

    def _create_session(self, _asked: Any, given: Any) -> dict[str, Any]:
        known = given["identifier"] in (self.me.did, self.me.handle)
        if not known or given["password"] != self.password:
            raise No("AuthenticationRequired", "Invalid identifier or password", 401)
        return self._session()

    def _refresh_session(self, _asked: Any, _given: Any) -> dict[str, Any]:
        return self._session()

    def _get_session(self, _asked: Any, _given: Any) -> dict[str, Any]:
        return {"did": self.me.did, "handle": self.me.handle, "active": True}

    def _get_profile(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        return self._shown(self._person(asked["actor"][0])) | {
            "description": self._person(asked["actor"][0]).description
        }

    def _search(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        wanted = asked["q"][0].casefold()
        found = [r for r in self._posts() if wanted in str(r.value["text"]).casefold()]
        return self._page("posts", [self._view(r) for r in found[::-1]], asked)

    def _feed(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        did = asked["actor"][0]
        found = [r for r in self._of(did) if r.value.get("embed") and not r.hidden]
        return self._page("feed", [{"post": self._view(r)} for r in found[::-1]], asked)

    def _notifications(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        found = [
            {
                "uri": one.uri,
                "author": self._shown(self._author(one)),
                "reason": reason,
                "record": one.value,
            }
            for one in self._posts()[::-1]
            if (reason := self._reason(one))
        ]
        return self._page("notifications", found, asked)

    def _get_posts(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        return {"posts": [self._view(r) for r in self._posts() if r.uri in asked["uris"]]}

    def _thread(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        uri = asked["uri"][0]
        found = next((one for one in self._posts() if one.uri == uri), None)
        if found is None:
            raise No("NotFound", f"Post not found: {uri}")
        under = [r for r in self._posts() if _parent(r) == uri]
        replies = [{"post": self._view(one)} for one in under]
        return {"thread": {"post": self._view(found), "replies": replies}}

    def _upload(self, _asked: Any, given: Any) -> dict[str, Any]:
        self.uploads += 1
        return {"blob": self.keep(bytes(given), "image/jpeg")}

    def _put_profile(self, given: Any) -> dict[str, Any]:
        if given["swapRecord"] != _cid_of(self.profile):
            raise No("InvalidSwap", f"Record was at {_cid_of(self.profile)}")
        self.profile = given["record"]
        return {"uri": f"at://{self.me.did}/{PROFILE}/self", "cid": _cid_of(self.profile)}

    def _put(self, _asked: Any, given: Any) -> dict[str, Any]:
        if given["collection"] == PROFILE:
            return self._put_profile(given)
        there = [r for r in self._of(given["repo"]) if r.uri.endswith("/" + given["rkey"])]
        if there and given.get("swapRecord", "") is None:
            raise No("InvalidSwap", f"Record was at {there[0].cid}")
        for one in there:
            one.gone = True
        made = self.write(given["repo"], given["rkey"], given["record"])
        return {"uri": made.uri, "cid": made.cid}

    def _get_record(self, asked: dict[str, list[str]], _given: Any) -> dict[str, Any]:
        uri = f"at://{asked['repo'][0]}/{asked['collection'][0]}/{asked['rkey'][0]}"
        if asked["collection"] == [PROFILE] and self.profile is not None:
            return {"uri": uri, "cid": _cid_of(self.profile), "value": self.profile}
        for one in self._of(asked["repo"][0]):
            if one.uri == uri:
                return {"uri": uri, "cid": one.cid, "value": one.value}
        raise No("RecordNotFound", f"Could not locate record: {uri}")

    def _delete(self, _asked: Any, given: Any) -> dict[str, Any]:
        for one in self._of(given["repo"]):
            if one.uri.endswith("/" + given["rkey"]):
                one.gone = True
        return {}

    def _blob(self, asked: dict[str, list[str]], _given: Any) -> bytes:
        try:
            return self.blobs[asked["cid"][0]]
        except KeyError:
            raise No("BlobNotFound", "Blob not found") from None

    _METHODS: ClassVar[dict[str, Callable[..., dict[str, Any] | bytes]]] = {
        "com.atproto.server.createSession": _create_session,
        "com.atproto.server.refreshSession": _refresh_session,
        "com.atproto.server.getSession": _get_session,
        "app.bsky.actor.getProfile": _get_profile,
        "app.bsky.feed.searchPosts": _search,
        "app.bsky.feed.getAuthorFeed": _feed,
        "app.bsky.feed.getPosts": _get_posts,
        "app.bsky.feed.getPostThread": _thread,
        "app.bsky.notification.listNotifications": _notifications,
        "com.atproto.repo.uploadBlob": _upload,
        "com.atproto.repo.putRecord": _put,
        "com.atproto.repo.getRecord": _get_record,
        "com.atproto.repo.deleteRecord": _delete,
        "com.atproto.sync.getBlob": _blob,
    }

    # --- how it is shown --------------------------------------------------------------------------

    def _posts(self) -> list[Record]:
        """In the order they came."""
        return [one for one in self.records if not one.gone and not one.hidden]

    def _of(self, did: str) -> list[Record]:
        mine = f"at://{did}/"
        return [one for one in self.records if one.uri.startswith(mine) and not one.gone]

    def _person(self, actor: str) -> Person:
        for one in self.people.values():
            if actor in (one.did, one.handle):
                return one
        raise No("InvalidRequest", "Profile not found")

    def _author(self, record: Record) -> Person:
        return self.people[record.uri.removeprefix("at://").partition("/")[0]]

    def _reason(self, record: Record) -> str:
        if _parent(record).startswith(f"at://{self.me.did}/"):
            return "reply"
        return "mention" if self.me.did in json.dumps(record.value.get("facets", [])) else ""

    def _view(self, record: Record) -> dict[str, Any]:
        viewer = {"replyDisabled": True} if record.closed else {}
        return {
            "uri": record.uri,
            "cid": record.cid,
            "author": self._shown(self._author(record)),
            "record": record.value,
            "indexedAt": datetime.fromtimestamp(record.at / 1e6, UTC).isoformat(),
            "labels": [{"src": "did:plc:labeler", "val": one} for one in record.labels],
            "viewer": viewer,
            "likeCount": 0,
            "replyCount": 0,
        }

    @staticmethod
    def _shown(person: Person) -> dict[str, Any]:
        return {
            "did": person.did,
            "handle": person.handle,
            "displayName": "",
            "labels": [{"src": person.did, "val": one} for one in person.labels],
            "viewer": person.viewer,
        }

    def _page(self, name: str, found: list[Any], asked: dict[str, list[str]]) -> dict[str, Any]:
        size = min(int(asked["limit"][0]), self.per_page)
        start = int(asked.get("cursor", ["0"])[0])
        following = {"cursor": str(start + size)} if start + size < len(found) else {}
        return {name: found[start : start + size]} | following

    def _moment(self) -> int:
        with self._changed:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return self._last

    # --- what it says by itself -------------------------------------------------------------------

    def _tell(self, connection: ServerConnection) -> None:
        asked = parse_qs(urlsplit(connection.request.path).query) if connection.request else {}
        try:
            for one in self._from(int(asked["cursor"][0])):
                did, _, rest = one.uri.removeprefix("at://").partition("/")
                commit = {
                    "operation": "create",
                    "collection": POSTS,
                    "rkey": rest.rpartition("/")[2],
                    "record": one.value,
                }
                message = {"did": did, "time_us": one.at, "kind": "commit", "commit": commit}
                connection.send(json.dumps(message))
        except ConnectionClosed:
            return

    def _from(self, cursor: int) -> Iterator[Record]:
        at = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.closing or len(self.records) > at)  # noqa: B023
                if self.closing:
                    return
                one = self.records[at]
            at += 1
            if one.at > cursor:
                yield one


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _serve(self, body: bytes) -> None:
            if server.closing:  # a connection that stayed open
                self.close_connection = True
                return
            parts = urlsplit(self.path)
            if not parts.path.startswith("/xrpc/"):
                self._send((200, server.document(unquote(parts.path[1:])), {}))
                return
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            method = parts.path.removeprefix("/xrpc/")
            answer = server.answer(method, parse_qs(parts.query), body, token)
            if answer is None:
                self.close_connection = True
                return
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            status, found, headers = answer
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            kind = "application/octet-stream" if isinstance(found, bytes) else "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in (server.headers | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    return Handler


_LIMITS: dict[Fault | None, str] = {Fault.THROTTLED: "5000;w=3600", Fault.WAIT: "3000;w=300"}


def _limited(policy: str, seconds: int) -> Answer:
    reset = str(int(time.time()) + seconds)
    headers = {"ratelimit-reset": reset, "ratelimit-remaining": "0", "ratelimit-policy": policy}
    return 429, {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, headers


_FAILED: dict[Fault | None, Callable[[str], Answer]] = {
    Fault.REFUSED: lambda _: No("InvalidRequest", "Invalid record").answer,
    Fault.GONE: lambda method: (
        (200, {"posts": []}, {}) if method == READING else No("RepoNotFound", "No such repo").answer
    ),
    Fault.UNAVAILABLE: lambda _: No("UpstreamFailure", "Upstream failure", 502).answer,
    Fault.BLOCKED: lambda _: (403, _HTML, {}),
    Fault.ENDED: lambda _: No("ExpiredToken", "Token has expired").answer,
    Fault.CHALLENGE: lambda _: No("AccountDeactivated", "Account is deactivated", 403).answer,
}


def _cid_of(value: dict[str, Any] | None) -> str | None:
    """As good as one: another value has another."""
    return value and hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _parent(record: Record) -> str:
    return str((record.value.get("reply") or {}).get("parent", {}).get("uri", ""))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _unpadded(coded: str) -> bytes:
    return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
