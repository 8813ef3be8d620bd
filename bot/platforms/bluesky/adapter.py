"""Bluesky through atproto, as a Platform."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from bot.core.errors import Unavailable
from bot.core.events import (
    Author,
    CommentPage,
    Media,
    Page,
    Post,
    Reading,
    Receipt,
    Step,
    Topic,
)
from bot.platforms.base import Pacer
from bot.platforms.bluesky.bot_label import mark_as_bot
from bot.platforms.bluesky.download import BlobDownloader
from bot.platforms.bluesky.events import Events
from bot.platforms.bluesky.read import FeedReader
from bot.platforms.bluesky.reply_modes import WAYS
from bot.platforms.bluesky.session import NAME, AccountSession
from bot.platforms.bluesky.settings import BlueskyAccount
from bot.platforms.bluesky.stream import Stream
from bot.platforms.bluesky.write import RecordWriter


class BlueskyPlatform:
    """One Bluesky account (see `bot.platforms.base.Platform` and `Streaming`).

    One thread at a time, but `download` may be called from several. Creating it sends nothing.
    `attempts`: how often a read that fails for a passing reason is tried.
    """

    name = NAME
    ways = WAYS

    def __init__(
        self,
        account: str,
        said: BlueskyAccount,
        session_file: Path,
        pacer: Pacer,
        attempts: int = 3,
    ) -> None:
        self.account = account
        self._session = AccountSession(said, session_file, pacer, attempts)
        self._marks = said.mark_as_bot
        self._reader = FeedReader(self._session, said.avoid_labels)
        self._writer = RecordWriter(self._session, self._reader, said)
        self._downloader = BlobDownloader(said, pacer)
        self._stream: Stream | None = None
        if said.stream:
            events = Events(said.stream, said.timeout.total_seconds())
            self._stream = Stream(self._session, self._reader, events)

    def login(self) -> Author:
        """Use the stored session, else submit the password once. Call it again on LoginRequired.

        The profile says then that the account is a bot, once.
        """
        me = self._session.login()
        if self._marks:
            self._marks = not mark_as_bot(self._session)
        return me

    def hashtag(self, tag: str, cursor: str | None = None) -> Page:
        return self._reader.hashtag(tag, cursor)

    def profile(self, username: str, cursor: str | None = None) -> Page:
        return self._reader.profile(username, cursor)

    def mentions(self, cursor: str | None = None) -> Page:
        return self._reader.mentions(cursor)

    def stream(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        if self._stream is None:
            raise Unavailable("events are switched off")
        return self._stream.take(cursor, topics)

    def post(self, post_id: str) -> Post:
        return self._reader.post(post_id)

    def comments(self, post_id: str, cursor: str | None = None) -> CommentPage:
        return self._reader.comments(post_id)

    def author(self, user_id: str) -> Author:
        return self._reader.author(user_id)

    def download(self, media: Media, max_bytes: int) -> bytes:
        return self._downloader.fetch(media.url, max_bytes)

    def send(self, step: Step) -> Receipt:
        return self._writer.send(step)

    def find(self, step: Step, since: datetime) -> Reading:
        return self._writer.find(step)

    def delete(self, kind: str, remote_id: str) -> None:
        self._writer.delete(remote_id)

    def exists(self, kind: str, remote_id: str) -> bool:
        return self._writer.exists(remote_id)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._downloader.close()
        self._session.close()
