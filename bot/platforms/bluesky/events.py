"""What the network says by itself, over a connection that stays open.

Two protocols: `subscribeRepos` of a server or relay (CBOR; a cursor is a number of the server's),
and Jetstream (JSON; a cursor is a time in microseconds). The end of the address tells which.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from atproto import CAR, CID
from atproto_subscription.frames import ErrorFrame, Frame
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from bot.core.errors import Refused, Unavailable
from bot.platforms.bluesky.addressing import POSTS, uri_of

_JETSTREAM = "/subscribe"
_LARGEST = 8 * 1024 * 1024  # bytes of a message
_WAITING = 2000  # messages that are read ahead; then the server has to wait
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Heard:
    """A post that somebody made: its record, as they wrote it."""

    uri: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A message of the stream. `position`: the cursor behind it."""

    position: str
    heard: tuple[Heard, ...] = ()


class Events:
    """One thread at a time; a thread of its own reads ahead."""

    def __init__(self, address: str, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._jetstream = address.endswith(_JETSTREAM)
        self._connection: _Connection | None = None

    def open(self, cursor: str | None) -> str:
        """Read on behind the cursor, or from now on. Returns the cursor that this is.

        Raises Refused for a cursor of another stream, Unavailable.
        """
        self.close()
        began = cursor or _from_now(self._jetstream)
        kind, _, where = began.partition(":")
        if (
            kind not in (("time",) if self._jetstream else ("seq", "since"))
            or not where.isdecimal()
        ):
            raise Refused(f"the cursor {cursor} is of another stream")
        asked: dict[str, str] = {}
        since = 0
        if self._jetstream:
            asked = {"wantedCollections": POSTS, "cursor": where}
        elif kind == "seq":
            asked = {"cursor": where}
        elif cursor is not None:  # nothing had come: all that the server keeps, without the older
            asked, since = {"cursor": "0"}, int(where)
        url = f"{self._address}?{urlencode(asked)}" if asked else self._address
        read = _jetstream if self._jetstream else _repos
        self._connection = _Connection(url, self._timeout, lambda raw: read(raw, since))
        return began

    def take(self) -> Iterator[Event]:
        """What came since the last time, at once.

        Raises Refused when the server refuses the cursor, Unavailable when the connection broke:
        after what had come.
        """
        if self._connection is None:
            raise Unavailable("the stream is not open")
        try:
            yield from self._connection.take()
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection:
    def __init__(
        self, url: str, timeout: float, read: Callable[[str | bytes], Event | None]
    ) -> None:
        self._read = read
        self._queue: queue.Queue[Event | Exception] = queue.Queue(_WAITING)
        self._closing = threading.Event()
        self._held = ExitStack()
        try:
            self._socket = self._held.enter_context(
                connect(url, open_timeout=timeout, close_timeout=1, max_size=_LARGEST, proxy=None)
            )
        except (OSError, WebSocketException) as error:
            raise Unavailable(f"the stream of events: {type(error).__name__}") from None
        self._thread = threading.Thread(target=self._follow, name="bluesky-events", daemon=True)
        self._thread.start()

    def take(self) -> Iterator[Event]:
        for _ in range(_WAITING):
            try:
                found = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(found, Exception):
                raise found
            yield found

    def close(self) -> None:
        self._closing.set()
        self._held.close()
        self._thread.join()

    def _follow(self) -> None:
        end: Exception = Unavailable("the stream of events ended")
        try:
            for raw in self._socket:
                event = self._read(raw)
                if event is not None:
                    self._put(event)
                if self._closing.is_set():
                    return
        except ConnectionClosed as error:
            end = Unavailable(f"the stream of events broke off: {type(error).__name__}")
        except (Refused, Unavailable) as error:
            end = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the account's thread must know
            end = Unavailable(f"the stream of events: {type(error).__name__}: {error}")
        self._put(end)

    def _put(self, item: Event | Exception) -> None:
        while not self._closing.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return


def _from_now(jetstream: bool) -> str:
    return f"{'time' if jetstream else 'since'}:{time.time_ns() // 1000}"


def _jetstream(raw: str | bytes, _since: int) -> Event | None:
    try:
        message = json.loads(raw)
        position = f"time:{int(message['time_us'])}"
        commit = message.get("commit") or {}
        if commit.get("operation") != "create" or commit.get("collection") != POSTS:
            return Event(position)
        uri = uri_of(str(message["did"]), str(commit["rkey"]))
        return Event(position, (Heard(uri, commit["record"]),))
    except _UNREADABLE:
        return None  # one message of a stranger's server must not end the stream


def _repos(raw: str | bytes, since: int) -> Event | None:
    if isinstance(raw, str):
        return None
    frame = Frame.from_bytes(raw)
    if isinstance(frame, ErrorFrame):
        raise Refused(f"the stream of events: {frame.body.error}")
    body: Any = frame.body
    if not isinstance(body, dict) or "seq" not in body:
        return None  # what a server says of itself, such as that it no longer has so old a cursor
    event = Event(f"seq:{int(body['seq'])}")
    if getattr(frame.header, "t", "") != "#commit" or _micros(str(body["time"])) < since:
        return event
    try:
        return Event(event.position, tuple(_created(body)))
    except _UNREADABLE:
        return event


def _created(body: Mapping[str, Any]) -> Iterator[Heard]:
    made = [
        operation
        for operation in body["ops"]
        if operation["action"] == "create" and str(operation["path"]).startswith(f"{POSTS}/")
    ]
    if not made:
        return
    blocks = CAR.from_bytes(body["blocks"]).blocks
    for operation in made:
        record = blocks.get(CID.decode(operation["cid"]))
        if isinstance(record, Mapping):
            key = str(operation["path"]).partition("/")[2]
            yield Heard(uri_of(str(body["repo"]), key), record)


def _micros(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp() * 1_000_000)
