"""What a server pushes: one connection for each hashtag and one for mentions, in their own threads.

Server-sent events know no "since": what came while nothing was connected is listed, from the newest
id that was seen. So a stream resumes without a gap, whatever broke it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests
from mastodon import Mastodon

from bot.core.errors import Refused, Unavailable
from bot.core.events import Page, Post, Topic, TrackKind
from bot.net.session import GuardedSession
from bot.platforms.mastodon.parse import Json, newest_key
from bot.platforms.mastodon.read import PER_PAGE, StatusReader
from bot.platforms.mastodon.session import TokenSession
from bot.platforms.mastodon.translate import UnexpectedAnswer

MOST = 16  # connections; what is followed beyond them, the polls find
_SILENCE = 90.0  # seconds: a server says something every 15
_PAGES = 25  # of what was missed, in one turn
_MENTIONS = "mentions"
_SHORT = 5.0  # seconds: a connection that ends sooner is as good as none
_AGAIN = 60.0  # seconds until one of several connections that cannot be made is tried again


@dataclass
class EventConnection:
    """One connection. `handle_stream` runs in its thread; the rest in the account's."""

    topic: Topic
    events: queue.SimpleQueue[Json] = field(default_factory=queue.SimpleQueue)
    opened: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    why: str = ""  # it ended
    caught_up: str | None = None  # the mark from which on `events` has everything
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=1000))  # ids that were given
    since: float = 0.0  # it is open
    _response: requests.Response | None = None
    _closing: bool = False

    def start(self, client: Mastodon, http: GuardedSession) -> None:
        threading.Thread(
            target=self._run, args=(client, http), name=f"stream-{self.topic.name}", daemon=True
        ).start()

    def close(self) -> None:
        self._closing = True
        if self._response is not None:
            with contextlib.suppress(OSError, ValueError):  # it is closed already
                self._response.raw.shutdown()

    def handle_stream(self, response: requests.Response) -> None:
        """Called by the client. Its own listener reads a byte at a time, and gives no JSON."""
        self._response, self.since = response, time.monotonic()
        self.opened.set()
        for name, data in _events(response):
            if self._closing:
                return
            if name in ("update", "notification"):
                self.events.put(json.loads(data))

    def _run(self, client: Mastodon, http: GuardedSession) -> None:
        try:
            if self.topic.kind is TrackKind.MENTIONS:
                client.stream_user_notifications(self, timeout=_SILENCE)
            else:
                client.stream_hashtag(self.topic.name, self, timeout=_SILENCE)
            self.why = "the server ended it"
        except Exception as error:  # noqa: BLE001 - whatever ends the thread is told to its reader
            refused = http.last is not None and http.last.status_code != 200
            status = f" (HTTP {http.last.status_code})" if refused and http.last else ""
            self.why = f"{type(error).__name__}{status}"
        finally:
            self.ended.set()


class Streams:
    """All connections of one account. Belongs to the account's thread."""

    def __init__(self, session: TokenSession, reader: StatusReader) -> None:
        self._session = session
        self._reader = reader
        self._channels: dict[str, EventConnection] = {}
        self._not_before: dict[str, float] = {}  # where one could not be made
        self._http: GuardedSession | None = None
        self._client: Any = None

    def read(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        """See `bot.platforms.base.Streaming`. The cursor has the newest id of each topic."""
        marks = _marks(cursor)
        wanted = dict(list(_wanted(topics))[:MOST])
        for key in set(self._channels) - set(wanted):
            self._channels.pop(key).close()
        posts: dict[str, Post] = {}
        whys = []
        for key, topic in wanted.items():
            if key not in marks:
                marks[key] = self._newest(topic)
            channel = self._channel(key, topic)
            if isinstance(channel, str):
                whys.append(channel)
            elif channel.opened.is_set():
                found, marks[key] = self._take(channel, marks[key])
                posts |= {post.post_id: post for post in found}
        if wanted and len(whys) == len(wanted):
            raise Unavailable(
                f"{self._session.server} streams nothing, polls find the posts: {whys[0]}"
            )
        ordered = sorted(posts.values(), key=lambda post: newest_key(post.post_id))
        return Page(tuple(ordered), json.dumps({key: marks[key] for key in wanted}, sort_keys=True))

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        if self._http is not None:
            self._http.close()

    def _channel(self, key: str, topic: Topic) -> EventConnection | str:
        """The connection, which may still be on its way; or why there is none."""
        channel = self._channels.get(key)
        if channel is not None and channel.ended.is_set():
            del self._channels[key]
            if not channel.opened.is_set() or time.monotonic() - channel.since < _SHORT:
                self._not_before[key] = time.monotonic() + _AGAIN
                return channel.why
            channel = None  # an end after a while is usual: connect again at once
        if channel is not None:
            return channel
        if time.monotonic() < self._not_before.get(key, 0.0) and self._channels:
            return "it could not be connected a moment ago"
        if self._http is None:
            self._http = self._session.connection.session()
            self._client = self._session.connection.client(self._http)
        self._session.pacer.before("read")
        self._channels[key] = channel = EventConnection(topic)
        channel.start(self._client, self._http)
        return channel

    def _take(self, channel: EventConnection, mark: str) -> tuple[list[Post], str]:
        """What came since `mark`, and the new mark."""
        items: list[Json] = []
        whole = True
        if channel.caught_up != mark:
            items, whole = self._missed(channel.topic, mark)
        known = {*channel.seen, *(str(one["id"]) for one in items)}
        with contextlib.suppress(queue.Empty):
            while True:
                event = channel.events.get_nowait()
                if str(event["id"]) not in known:
                    items.append(event)
        ids = [str(one["id"]) for one in items]
        channel.seen.extend(ids)
        newest = max([mark, *ids], key=newest_key)
        # What was not listed to its end goes on from there, before what was pushed counts.
        channel.caught_up = newest if whole else None
        return list(self._posts(channel.topic, items)), newest

    def _missed(self, topic: Topic, mark: str) -> tuple[list[Json], bool]:
        """Forward from `mark`, page after page; whether that was all."""
        found: dict[str, Json] = {}
        for _ in range(_PAGES):
            page = self._after(topic, mark)
            ids = [one for one in page if newest_key(one) > newest_key(mark) and one not in found]
            found |= {one: page[one] for one in ids}
            if not ids:
                return list(found.values()), True
            mark = max(ids, key=newest_key)
        return list(found.values()), False

    def _after(self, topic: Topic, mark: str) -> dict[str, Json]:
        return self._list(topic, min_id=mark, limit=PER_PAGE)

    def _newest(self, topic: Topic) -> str:
        """From now on: the newest id that there is."""
        return max(self._list(topic, limit=1), key=newest_key, default="0")

    def _list(self, topic: Topic, **options: Any) -> dict[str, Json]:
        def request(client: Mastodon) -> Any:
            if topic.kind is TrackKind.MENTIONS:
                return client.notifications(types=["mention"], **options)
            return client.timeline_hashtag(topic.name, **options)

        def parse(answer: Any) -> dict[str, Json]:
            if not isinstance(answer, list):
                raise UnexpectedAnswer("no list")
            return {str(one["id"]): one for one in answer}

        return self._session.read(f"stream of {topic.name or _MENTIONS}", request, parse)

    def _posts(self, topic: Topic, items: list[Json]) -> Iterator[Post]:
        if topic.kind is TrackKind.MENTIONS:
            items = [one["status"] for one in items if _is_mention(one)]
        yield from self._reader.posts(items)


def _wanted(topics: Collection[Topic]) -> Iterator[tuple[str, Topic]]:
    """What has a stream: hashtags and our mentions; of a profile there is none."""
    for topic in sorted(topics, key=lambda one: one.kind is not TrackKind.MENTIONS):
        if topic.kind is TrackKind.MENTIONS:
            yield _MENTIONS, topic
        elif topic.kind is TrackKind.HASHTAG:
            yield f"#{topic.name}", topic


def _marks(cursor: str | None) -> dict[str, str]:
    """Raises Refused for a cursor that is none of ours."""
    if cursor is None:
        return {}
    try:
        marks = json.loads(cursor)
    except ValueError:
        marks = None
    if not isinstance(marks, dict) or not all(isinstance(one, str) for one in marks.values()):
        raise Refused("a cursor that is none of this platform")
    return marks


def _is_mention(notification: Json) -> bool:
    return notification.get("type") == "mention" and bool(notification.get("status"))


def _events(response: requests.Response) -> Iterator[tuple[str, str]]:
    """Name and data of each server-sent event."""
    name, data = "", []
    for line in _lines(response):
        field_name, _, value = line.partition(":")
        if field_name == "event":
            name = value.strip()
        elif field_name == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield name, "\n".join(data)
            name, data = "", []


def _lines(response: requests.Response) -> Iterator[str]:
    """As they come: `iter_lines` waits until a block is full."""
    rest = b""
    while block := response.raw.read1(65536, decode_content=True):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode("utf-8").rstrip("\r") for line in lines)
