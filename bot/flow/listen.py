"""What a network says by itself: posts of its stream go to the tracks that would list them.

The polls go on beside it, and find what the stream did not say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import AuthError, LoginRequired, NetworkError, RateLimited, Refused
from bot.core.events import Author, Page, Post, TrackKind
from bot.flow.ingest import Ingest
from bot.flow.policy import Track
from bot.flow.reply_rule import Watch
from bot.flow.sending import pause_after
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

        Whatever fails, the stream rests for a while, so that the polls get their turn. Raises
        LoginRequired and what is a fault of ours, StorageError among them.
        """
        if not isinstance(platform, Streaming) or self._clock() < self._not_before:
            return False
        try:
            return self._take(platform, watches)
        except (NetworkError, RateLimited, AuthError) as error:
            # Who waits for a person is asked again soon: that costs a look at the breaker only.
            rest = pause_after(error) if isinstance(error, RateLimited) else PAUSE
            self._not_before = self._clock() + max(PAUSE, rest)
            log.warning("stream not read", account=platform.account, reason=str(error))
            if isinstance(error, LoginRequired):
                raise
            return False
        except Exception:
            self._not_before = self._clock() + PAUSE
            raise

    def _take(self, platform: Streaming, watches: Iterable[Watch]) -> bool:
        """The cursor is stored after the posts: what is interrupted is read again, and known."""
        with self._database.read() as session:
            cursor = cursors.get(session, platform.account)
        page = self._read(platform, cursor)
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
