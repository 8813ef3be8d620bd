"""Instagram through instagrapi, as a Platform."""

from __future__ import annotations

from collections.abc import Sequence
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
)
from bot.net.cookies import cookie_of
from bot.platforms.base import Pacer
from bot.platforms.instagram.connection import Connection
from bot.platforms.instagram.download import Downloader
from bot.platforms.instagram.find import Finder
from bot.platforms.instagram.parse import NAME
from bot.platforms.instagram.read import Reader
from bot.platforms.instagram.remove import Remover
from bot.platforms.instagram.reply_modes import WAYS
from bot.platforms.instagram.session import Credentials, Session
from bot.platforms.instagram.write import Writer


class InstagramPlatform:
    """One Instagram account (see `bot.platforms.base.Platform`).

    One thread at a time, but `download` may be called from several. `media_hosts` are shell
    patterns over `host` or `host:port`; only what is named exactly may be a private address, and
    only a loopback one may be fetched without TLS. Creating it sends nothing.
    """

    name = NAME
    ways = WAYS

    def __init__(
        self,
        account: str,
        credentials: Credentials,
        connection: Connection,
        session_file: Path,
        media_hosts: Sequence[str],
        pacer: Pacer,
    ) -> None:
        self.account = account
        self._session = Session(credentials, connection, session_file, pacer)
        self._reader = Reader(self._session)
        self._writer = Writer(self._session)
        self._finder = Finder(self._session, self._writer)
        self._remover = Remover(self._session)
        self._downloader = Downloader(hosts=media_hosts, connection=connection, pacer=pacer)

    def login(self) -> Author:
        """Use the stored session, else submit the password once. Call it again on LoginRequired."""
        return self._session.login()

    def adopt(self, cookies: Path) -> Author:
        """See `bot.platforms.base.Adopting`."""
        return self._session.adopt(cookie_of(cookies, "instagram.com", "sessionid"))

    def hashtag(self, tag: str, cursor: str | None = None) -> Page:
        return self._reader.hashtag(tag, cursor)

    def profile(self, username: str, cursor: str | None = None) -> Page:
        return self._reader.profile(username, cursor)

    def mentions(self, cursor: str | None = None) -> Page:
        return self._reader.mentions(cursor)

    def post(self, post_id: str) -> Post:
        return self._reader.post(post_id)

    def comments(self, post_id: str, cursor: str | None = None) -> CommentPage:
        return self._reader.comments(post_id, cursor)

    def author(self, user_id: str) -> Author:
        return self._reader.author(user_id)

    def download(self, media: Media, max_bytes: int) -> bytes:
        return self._downloader.fetch(media.url, max_bytes)

    def send(self, step: Step) -> Receipt:
        return self._writer.send(step)

    def find(self, step: Step, since: datetime) -> Reading:
        return self._finder.find(step, since)

    def delete(self, kind: str, remote_id: str) -> None:
        self._remover.delete(kind, remote_id)

    def exists(self, kind: str, remote_id: str) -> bool:
        return self._remover.exists(kind, remote_id)

    def close(self) -> None:
        self._downloader.close()
        self._session.close()
