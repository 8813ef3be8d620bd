"""Events into posts: what the tracks want is looked up, as the network shows it to us."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bot.core.events import Page, Topic, TrackKind
from bot.platforms.bluesky.addressing import SPELLING, parts_of
from bot.platforms.bluesky.events import Events, Heard
from bot.platforms.bluesky.parse import hashtags_of, mentions
from bot.platforms.bluesky.read import FeedReader
from bot.platforms.bluesky.session import AccountSession

_PATIENCE = 60.0  # seconds until a post that was heard of is to be seen; else it was taken back


@dataclass(frozen=True, slots=True)
class _Expected:
    uri: str
    before: str  # the cursor before it: nothing is lost while it is not seen
    until: float  # monotonic seconds


class Stream:
    """One thread at a time."""

    def __init__(self, session: AccountSession, reader: FeedReader, events: Events) -> None:
        self._session = session
        self._reader = reader
        self._events = events
        self._position = ""  # behind the last event that was taken
        self._told = ""  # the cursor of the last page
        self._expected: list[_Expected] = []

    def take(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        """See `bot.platforms.base.Streaming`."""
        if cursor is None or cursor != self._told or not self._events.is_open:
            self._expected.clear()
            self._position = self._told = self._events.open(cursor)
        for event in self._events.take():
            self._expected.extend(
                _Expected(one.uri, self._position, time.monotonic() + _PATIENCE)
                for one in event.heard
                if self._is_wanted(one, topics)
            )
            self._position = event.position
        posts = self._reader.posts([one.uri for one in self._expected]) if self._expected else []
        seen, now = {post.post_id for post in posts}, time.monotonic()
        self._expected = [one for one in self._expected if one.uri not in seen and now < one.until]
        self._told = self._expected[0].before if self._expected else self._position
        return Page(tuple(posts), self._told)

    def close(self) -> None:
        self._events.close()

    def _is_wanted(self, heard: Heard, topics: Collection[Topic]) -> bool:
        return any(self._is_about(heard, topic) for topic in topics)

    def _is_about(self, heard: Heard, topic: Topic) -> bool:
        record: Mapping[str, object] = heard.record
        if topic.kind is TrackKind.HASHTAG:
            return topic.name in hashtags_of(record)
        if topic.kind is TrackKind.PROFILE:
            return parts_of(heard.uri)[0] in (topic.name, self._session.people.get(topic.name))
        me = self._session.me
        return mentions(record, me) or me.username in SPELLING.mentions(str(record.get("text")))
