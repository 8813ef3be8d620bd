"""Mastodon through Mastodon.py, as a Platform."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

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
from bot.net.guarded import chunks, judge
from bot.platforms.base import Pacer, paced
from bot.platforms.mastodon.connection import ServerConnection
from bot.platforms.mastodon.parse import NAME
from bot.platforms.mastodon.read import StatusReader
from bot.platforms.mastodon.reply_modes import WAYS
from bot.platforms.mastodon.session import TokenSession
from bot.platforms.mastodon.stream import Streams
from bot.platforms.mastodon.write import StatusWriter

_PATIENCE = 4  # a whole download may take this many timeouts


class MastodonPlatform:
    """One account on a server (see `bot.platforms.base.Streaming`).

    One thread at a time, but `download` may be called from several. Creating it sends nothing.
    """

    name = NAME
    ways = WAYS

    def __init__(
        self,
        account: str,
        connection: ServerConnection,
        session_file: Path,
        pacer: Pacer,
        *,
        visibility: str = "unlisted",
        language: str = "en",
    ) -> None:
        self.account = account
        self._pacer = pacer
        self._session = TokenSession(connection, session_file, pacer)
        self._reader = StatusReader(self._session)
        self._writer = StatusWriter(
            self._session, self._reader, visibility=visibility, language=language
        )
        self._streams = Streams(self._session, self._reader)
        self._downloads = connection.downloads()
        self._patience = _PATIENCE * connection.timeout

    def login(self) -> Author:
        return self._session.login()

    def hashtag(self, tag: str, cursor: str | None = None) -> Page:
        return self._reader.hashtag(tag, cursor)

    def profile(self, username: str, cursor: str | None = None) -> Page:
        return self._reader.profile(username, cursor)

    def mentions(self, cursor: str | None = None) -> Page:
        return self._reader.mentions(cursor)

    def stream(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        return self._streams.read(cursor, topics)

    def post(self, post_id: str) -> Post:
        return self._reader.post(post_id)

    def comments(self, post_id: str, cursor: str | None = None) -> CommentPage:
        """All at once: a server lists a thread in one answer."""
        return self._reader.comments(post_id)

    def author(self, user_id: str) -> Author:
        return self._reader.author(user_id)

    def download(self, media: Media, max_bytes: int) -> bytes:
        with paced(self._pacer, "media"), self._downloads.get(media.url) as response:
            judge(response)
            return b"".join(chunks(response, max_bytes, decode=True, seconds=self._patience))

    def send(self, step: Step) -> Receipt:
        return self._writer.send(step)

    def find(self, step: Step, since: datetime) -> Reading:
        return self._writer.find(step, since)

    def delete(self, kind: str, remote_id: str) -> None:
        self._writer.delete(remote_id)

    def exists(self, kind: str, remote_id: str) -> bool:
        return self._writer.exists(remote_id)

    def close(self) -> None:
        self._streams.close()
        self._downloads.close()
        self._session.close()
