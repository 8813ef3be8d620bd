"""Events into posts: what the tracks want is looked up, as the network shows it to us."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bot.core.events import Page, Post, Topic, TrackKind
from bot.platforms.bluesky.addressing import SPELLING, parts_of
from bot.platforms.bluesky.events import Events, Heard
from bot.platforms.bluesky.parse import hashtags_of, mentions
from bot.platforms.bluesky.read import FeedReader
from bot.platforms.bluesky.session import AccountSession

_PATIENCE = 120.0  # seconds until a post that was heard of is to be seen; else it was taken back

_AT_ONCE = 100  # posts that are looked up in one turn, so that replies get theirs


@dataclass(frozen=True, slots=True)
class _Expected:
    uri: str
    number: int  # in the order they were heard of
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
        self._number = 0

    def take(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        """See `bot.platforms.base.Streaming`."""
        if cursor is None or cursor != self._told or not self._events.is_open:
            self._expected.clear()
            self._position = self._told = self._events.open(cursor)
        for event in self._events.take():
            for one in event.heard:
                if self._is_wanted(one, topics):
                    until = time.monotonic() + _PATIENCE
                    self._expected.append(_Expected(one.uri, self._number, self._position, until))
                    self._number += 1
            self._position = event.position
        posts = self._seen()
        first = min(self._expected, key=lambda one: one.number, default=None)
        self._told = first.before if first else self._position
        return Page(tuple(posts), self._told)

    def _seen(self) -> list[Post]:
        """Those that are to be seen by now. The others are asked for again, after the rest."""
        some, rest = self._expected[:_AT_ONCE], self._expected[_AT_ONCE:]
        if not some:
            return []
        posts = self._reader.posts([one.uri for one in some])
        seen, now = {post.post_id for post in posts}, time.monotonic()
        self._expected = rest + [one for one in some if one.uri not in seen and now < one.until]
        return posts

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
