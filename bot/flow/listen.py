"""What a network says by itself: posts of its stream go to the tracks that would list them.

The polls go on beside it, and find what the stream did not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import RateLimited, Refused, Unavailable
from bot.core.events import Author, Page, Post, TrackKind
from bot.flow.ingest import Ingest
from bot.flow.policy import Track
from bot.flow.reply_rule import Watch
from bot.platforms.base import Platform, Streaming
from storage import cursors
from storage.database import Database

log = structlog.get_logger()
PAUSE = timedelta(minutes=1)  # after a stream that could not be read


class Listener:
    """Reads the stream of one account's network. Belongs to the account's thread."""

    def __init__(self, database: Database, ingest: Ingest, clock: Clock = utc_now) -> None:
        self._database = database
        self._ingest = ingest
        self._clock = clock
        self._not_before = clock()

    def next(self, platform: Platform, watches: Iterable[Watch]) -> bool:
        """Take what appeared since the last time. False when there is nothing, or no stream.

        The cursor is stored after the posts: what is interrupted is read again, and known.
        """
        if not isinstance(platform, Streaming) or self._clock() < self._not_before:
            return False
        with self._database.read() as session:
            cursor = cursors.get(session, platform.account)
        try:
            page = self._read(platform, cursor)
        except (Unavailable, RateLimited) as error:
            self._not_before = self._clock() + PAUSE
            log.warning("stream not read", account=platform.account, reason=str(error))
            return False
        for watch in watches:
            posts = [post for post in page.posts if follows(watch.track, post, watch.us.me)]
            if posts:
                self._ingest.take(platform, watch, posts)
        if page.cursor is not None and page.cursor != cursor:
            with self._database.write() as session:
                cursors.put(session, platform.account, page.cursor, self._clock())
        return bool(page.posts)

    @staticmethod
    def _read(platform: Streaming, cursor: str | None) -> Page:
        try:
            return platform.stream(cursor)
        except Refused as error:
            log.warning("stream restarted", cursor=cursor, reason=str(error))
            return platform.stream(None)


def follows(track: Track, post: Post, me: Author) -> bool:
    """Whether the listing of a track would show this post."""
    if track.kind is TrackKind.HASHTAG:
        return track.name in post.hashtags
    if track.kind is TrackKind.PROFILE:
        return track.name in (post.author.username.lower(), post.author.user_id)
    tagged = any(tag.user_id == me.user_id for tag in post.usertags)
    return tagged or me.username.lower() in post.mentions
