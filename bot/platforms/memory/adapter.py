"""One account on a network in memory, as a Platform."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from bot.core import normal_form as text
from bot.core.errors import LoginRequired, Refused, TargetGone, TargetPrivate
from bot.core.events import (
    Author,
    Comment,
    CommentPage,
    Media,
    Page,
    Post,
    Presence,
    Reading,
    Receipt,
    Step,
    Topic,
)
from bot.platforms.base import Pacer, paced
from bot.platforms.memory.addressing import SPELLING
from bot.platforms.memory.network import JournalEntry, Network
from bot.platforms.memory.reply_modes import CANVAS, WAYS
from bot.platforms.memory.text_limits import TEXT

T = TypeVar("T")


class MemoryPlatform:
    """See `bot.platforms.base.Platform` and `Streaming`."""

    name = "memory"
    ways = WAYS

    def __init__(self, account: str, username: str, network: Network, pacer: Pacer) -> None:
        self.account = account
        self._username = username
        self._network = network
        self._pacer = pacer
        self._me: Author | None = None

    def login(self) -> Author:
        self._me = self._call("login", lambda: self._network.join(self._username))
        return self._me

    def hashtag(self, tag: str, cursor: str | None = None) -> Page:
        wanted = text.hashtag(tag)
        return self._page(lambda post: wanted in post.hashtags, cursor)

    def profile(self, username: str, cursor: str | None = None) -> Page:
        handle = self._full(username)

        def posts() -> list[Post]:
            person = next((p for p in self._network.people.values() if p.username == handle), None)
            if person is None:
                raise TargetGone(f"{handle}: nobody of that name")
            if person.is_private:
                raise TargetPrivate(f"{handle}: private")
            owner.append(person.user_id)
            return [post for post in self._posts() if post.author.user_id == person.user_id]

        owner: list[str] = []
        page = self._listed(posts, cursor)
        return replace(page, owner=owner[-1])

    def mentions(self, cursor: str | None = None) -> Page:
        me = self._here()
        return self._page(lambda post: me.username in post.mentions, cursor)

    def stream(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        """Everything that appears, whatever is wanted."""

        def request() -> Page:
            seen = len(self._network.entries)
            since = seen if cursor is None else int(cursor)
            if since > seen:
                raise Refused(f"the cursor {cursor} is ahead of the stream")
            new = {one.entry_id for one in self._network.entries[since:]}
            return Page(tuple(p for p in self._posts() if p.post_id in new), str(seen))

        return self._call("read", request)

    def post(self, post_id: str) -> Post:
        return self._call("read", lambda: self._as_post(self._network.entry(post_id)))

    def comments(self, post_id: str, cursor: str | None = None) -> CommentPage:
        def request() -> CommentPage:
            self._network.entry(post_id)
            found = [
                Comment(one.entry_id, one.author, one.text, one.created)
                for one in self._network.replies(post_id)
            ]
            some, following = _slice(found, cursor, self._network.per_page)
            return CommentPage(tuple(some), following)

        return self._call("read", request)

    def author(self, user_id: str) -> Author:
        def request() -> Author:
            person = self._network.people.get(user_id)
            if person is None:
                raise TargetGone(f"{user_id}: nobody of that id")
            return person

        return self._call("read", request)

    def download(self, media: Media, max_bytes: int) -> bytes:
        def request() -> bytes:
            entry_id, _, index = media.url.removeprefix("memory:").rpartition("#")
            data = self._network.entry(entry_id).images[int(index)]
            if len(data) > max_bytes:
                raise Refused(f"{len(data)} bytes are more than {max_bytes}")
            return data

        return self._call("media", request)

    def send(self, step: Step) -> Receipt:
        """A reply under a key made of the step's token: sent again, it is the same one."""
        if TEXT.length(step.text) > TEXT.most:
            raise Refused(f"reply: more than {TEXT.most} characters; nothing was sent")
        if not step.image or len(step.image) > CANVAS.max_bytes:
            raise Refused("reply: no image, or one too large; nothing was sent")
        image = step.image

        def request() -> Receipt:
            made = self._network.publish(
                self._username,
                step.text,
                (image,),
                key=key_of(step.token),
                alt_text=step.alt_text,
                reply_to=step.source_post_id,
            )
            return _receipt(made)

        return self._call("write", request)

    def find(self, step: Step, since: datetime) -> Reading:
        """By its key: the network shows all there is, so what is not there was never applied."""
        wanted = f"at://{self._here().user_id}/post/{key_of(step.token)}"

        def request() -> Reading:
            for one in self._network.shown():
                if one.entry_id == wanted:
                    return Reading(Presence.APPLIED, _receipt(one))
            return Reading(Presence.ABSENT, detail="no entry has its key")

        return self._call("read", request)

    def delete(self, kind: str, remote_id: str) -> None:
        self._call("delete", lambda: self._network.remove(remote_id))

    def exists(self, kind: str, remote_id: str) -> bool:
        return self._call(
            "read", lambda: any(one.entry_id == remote_id for one in self._network.shown())
        )

    def close(self) -> None:
        """Nothing is held."""

    def _here(self) -> Author:
        if self._me is None:
            raise LoginRequired("not logged in yet")
        return self._me

    def _page(self, wanted: Callable[[Post], bool], cursor: str | None) -> Page:
        return self._listed(lambda: [post for post in self._posts() if wanted(post)], cursor)

    def _listed(self, posts: Callable[[], list[Post]], cursor: str | None) -> Page:
        """Newest first."""

        def request() -> Page:
            some, following = _slice(posts()[::-1], cursor, self._network.per_page)
            return Page(tuple(some), following)

        return self._call("read", request)

    def _posts(self) -> list[Post]:
        """What is no reply, and not our own."""
        me = self._here().user_id
        shown = (one for one in self._network.shown() if not one.reply_to)
        return [self._as_post(one) for one in shown if one.author.user_id != me]

    def _as_post(self, entry: JournalEntry) -> Post:
        urls = (f"memory:{entry.entry_id}#{index}" for index in range(len(entry.images)))
        return Post(
            platform=self.name,
            post_id=entry.entry_id,
            author=entry.author,
            taken_at=entry.created,
            url=url_of(entry),
            caption=entry.text,
            hashtags=SPELLING.hashtags(entry.text),
            mentions=tuple(map(self._full, SPELLING.mentions(entry.text))),
            media=tuple(Media(index, url) for index, url in enumerate(urls)),
            raw={"entry": entry.entry_id},
        )

    def _full(self, name: str) -> str:
        """A name without its server is one of ours."""
        return name if "@" in name else f"{name}@{self._network.server}"

    def _call(self, action: str, request: Callable[[], T]) -> T:
        with paced(self._pacer, action), self._network.request(action):
            return request()


def key_of(token: str) -> str:
    """The key of an entry, 13 characters, fixed by the step's token."""
    return hashlib.sha256(token.encode()).hexdigest()[:13]


def url_of(entry: JournalEntry) -> str:
    """`https://SERVER/@NAME/KEY`."""
    name, _, server = entry.author.username.partition("@")
    return f"https://{server}/@{name}/{entry.entry_id.rpartition('/')[2]}"


def _receipt(entry: JournalEntry) -> Receipt:
    return Receipt(entry.entry_id, url_of(entry))


def _slice(items: Iterable[T], cursor: str | None, size: int) -> tuple[list[T], str | None]:
    start = int(cursor or 0)
    some = list(items)
    end = start + size
    return some[start:end], str(end) if end < len(some) else None
