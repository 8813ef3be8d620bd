"""What a network says by itself: posts of its stream go to the tracks that would list them.

The polls go on beside it, and find what the stream did not say.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import AuthError, LoginRequired, NetworkError, RateLimited, Refused
from bot.core.events import Author, Page, Post, Topic, TrackKind
from bot.flow.ingest import Ingest
from bot.flow.policy import Track
from bot.flow.reply_rule import Watch
from bot.flow.sending import pause_after
from bot.platforms.base import Platform, Streaming
from bot.platforms.pacing import Backoff
from storage import cursors
from storage.database import Database

log = structlog.get_logger()
PAUSE = timedelta(minutes=1)  # after a stream that could not be read
# A stream that begins says nothing of what came before: the polls look, at once and again when
# a network lists what it had just been sent.
LOOKS = (timedelta(0), timedelta(seconds=30))
# While it cannot be read again and again, as where a server has none
_PAUSES = Backoff(first=PAUSE.total_seconds(), longest=3600, jitter=0.0)


class Listener:
    """Reads the stream of one account's network. Belongs to the account's thread."""

    def __init__(self, database: Database, ingest: Ingest, clock: Clock = utc_now) -> None:
        self._database = database
        self._ingest = ingest
        self._clock = clock
        self._not_before = clock()
        self._looks: list[datetime] = []  # when the polls are to look
        self._failures = 0  # in a row
        self._why = ""  # as it was said last
        self._rng = random.Random()  # noqa: S311 - jitter, not a secret

    def next(self, platform: Platform, watches: Iterable[Watch]) -> bool:
        """Take what appeared since the last time. False when there is nothing, or no stream.

        Whatever fails, the stream rests for a while, so that the polls get their turn. Raises
        LoginRequired and what is a fault of ours, StorageError among them.
        """
        if not isinstance(platform, Streaming) or self._clock() < self._not_before:
            return False
        try:
            found = self._take(platform, list(watches))
        except (NetworkError, RateLimited, AuthError) as error:
            self._failed(platform, error)
            if isinstance(error, LoginRequired):
                raise
            return False
        except Exception:
            self._not_before = self._clock() + PAUSE
            raise
        if self._failures:
            log.info("stream resumed", account=platform.account)
        self._failures, self._why = 0, ""
        return found

    def wants_polls(self) -> bool:
        """Whether all tracks are to be polled now, once: a stream began and cannot tell what was
        posted before it did."""
        if not self._looks or self._clock() < self._looks[0]:
            return False
        now = self._clock()
        self._looks = [at for at in self._looks if at > now]
        return True

    def _failed(self, platform: Platform, error: Exception) -> None:
        """Rest, longer each time the network fails, and say why once: the polls go on."""
        # Who waits for a person is asked again soon: that costs a look at the breaker only.
        rest = pause_after(error) if isinstance(error, RateLimited) else PAUSE
        if isinstance(error, NetworkError):
            self._failures += 1
            rest = timedelta(seconds=_PAUSES(self._failures, None, self._rng))
        self._not_before = self._clock() + max(PAUSE, rest)
        if (why := str(error)) != self._why:
            self._why = why
            log.warning("stream not read", account=platform.account, reason=why)

    def _take(self, platform: Streaming, watches: Collection[Watch]) -> bool:
        """The cursor is stored after the posts: what is interrupted is read again, and known."""
        topics = list(dict.fromkeys(Topic(one.track.kind, one.track.name) for one in watches))
        with self._database.read() as session:
            cursor = cursors.get(session, platform.account)
        page = self._read(platform, cursor, topics)
        if cursor is None:
            self._begun()
        for watch in watches:
            posts = [post for post in page.posts if follows(watch.track, post, watch.us.me)]
            if posts:
                self._ingest.take(platform, watch, posts)
        if page.cursor is not None and page.cursor != cursor:
            with self._database.write() as session:
                cursors.put(session, platform.account, page.cursor, self._clock())
        return bool(page.posts)

    def _begun(self) -> None:
        now = self._clock()
        self._looks = [now + wait for wait in LOOKS]

    def _read(self, platform: Streaming, cursor: str | None, topics: Collection[Topic]) -> Page:
        try:
            return platform.stream(cursor, topics)
        except Refused as error:
            log.warning("stream restarted", cursor=cursor, reason=str(error))
            self._begun()
            return platform.stream(None, topics)


def follows(track: Track, post: Post, me: Author) -> bool:
    """Whether the listing of a track would show this post."""
    if track.kind is TrackKind.HASHTAG:
        return track.name in post.hashtags
    if track.kind is TrackKind.PROFILE:
        return track.name in (post.author.username.lower(), post.author.user_id)
    tagged = any(tag.user_id == me.user_id for tag in post.usertags)
    return tagged or me.username.lower() in post.mentions
