"""Listings and single posts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from mastodon import Mastodon

from bot.core import normal_form as text
from bot.core.errors import TargetGone, TargetPrivate
from bot.core.events import Author, CommentPage, Page, Post
from bot.platforms.mastodon.addressing import is_user_id, local_id, qualified
from bot.platforms.mastodon.parse import Json, newest_key, shown
from bot.platforms.mastodon.session import TokenSession
from bot.platforms.mastodon.translate import UnexpectedAnswer

log = structlog.get_logger()
PER_PAGE = 40  # the most that a server lists at once
_Listing = Callable[[Mastodon, str | None], Any]


class StatusReader:
    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self._latest: Json = {}

    def hashtag(self, tag: str, cursor: str | None) -> Page:
        name = text.hashtag(tag)

        def listing(client: Mastodon, max_id: str | None) -> Any:
            return client.timeline_hashtag(name, max_id=max_id, limit=PER_PAGE)

        return self._page(f"hashtag {name}", listing, cursor)

    def profile(self, username: str, cursor: str | None) -> Page:
        """The cursor carries the account's id: names change, and later pages need no look-up."""
        what = f"profile {username}"
        if cursor:
            account_id, _, max_id = cursor.partition(":")
            return self._statuses(what, account_id, max_id)
        account = self._account(what, username)
        page = self._statuses(what, str(account["id"]), None)
        if not page.posts and account.get("locked") and account.get("statuses_count"):
            raise TargetPrivate(f"{what}: shows its posts to followers only")
        return page

    def mentions(self, cursor: str | None) -> Page:
        def listing(client: Mastodon, max_id: str | None) -> Any:
            return client.notifications(types=["mention"], max_id=max_id, limit=PER_PAGE)

        return self._page("mentions", listing, cursor, _mentioning)

    def post(self, post_id: str) -> Post:
        status = self.status(post_id)
        if not shown(status):
            raise TargetPrivate(f"post {post_id}: is not public")
        return self._session.names.post(status)

    def status(self, post_id: str) -> Json:
        """As the server has it now. Raises TargetGone."""
        local, names = self.local(post_id), self._session.names

        def parse(answer: Any) -> Json:
            names.post(_object(answer))
            return _object(answer)

        found = self._session.read(f"post {post_id}", lambda c: c.status(local), parse)
        self._latest = found
        return found

    def parent(self, post_id: str) -> Json:
        """The same, as it was seen a moment ago if that was the latest look."""
        if self._latest.get("id") == self.local(post_id):
            return self._latest
        return self.status(post_id)

    def comments(self, post_id: str) -> CommentPage:
        local, names = self.local(post_id), self._session.names

        def parse(answer: Any) -> CommentPage:
            under = [one for one in answer["descendants"] if one.get("in_reply_to_id") == local]
            return CommentPage(tuple(names.comment(one) for one in under if shown(one)))

        return self._session.read(
            f"comments of {post_id}", lambda client: client.status_context(local), parse
        )

    def author(self, user_id: str) -> Author:
        local, names = self.local(user_id), self._session.names
        return self._session.read(f"user {user_id}", lambda c: c.account(local), names.author)

    def local(self, written: str) -> str:
        """The id as the server has it. Raises TargetGone for one of another server."""
        found = local_id(self._session.server, written)
        if found is None:
            raise TargetGone(f"{written}: is no id of {self._session.server}")
        return found

    def posts(self, statuses: Any) -> tuple[Post, ...]:
        """Those that everybody sees and that are not ours. One that cannot be read is left out."""
        if not isinstance(statuses, list):
            raise UnexpectedAnswer("no list")
        names, me = self._session.names, self._session.me.user_id
        found = []
        for status in filter(shown, statuses):
            try:
                post = names.post(status)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("post skipped", post=str(status.get("id")), reason=repr(error))
                continue
            if post.author.user_id != me:
                found.append(post)
        if statuses and not found and not any(map(_readable, statuses)):
            raise UnexpectedAnswer("no statuses")
        return tuple(found)

    def _statuses(self, what: str, account_id: str, max_id: str | None) -> Page:
        def listing(client: Mastodon, before: str | None) -> Any:
            return client.account_statuses(
                account_id, exclude_reblogs=True, max_id=before, limit=PER_PAGE
            )

        page = self._page(what, listing, max_id)
        owner = qualified(self._session.server, account_id)
        following = f"{account_id}:{page.cursor}" if page.cursor else None
        return replace(page, cursor=following, owner=owner)

    def _account(self, what: str, username: str) -> Json:
        """By its id, or by its name; who is of no server is on ours."""
        if is_user_id(username):
            local = self.local(username)
            return self._session.read(what, lambda c: c.account(local), _object)
        name, _, server = text.username(username).partition("@")
        ours = server in ("", self._session.server, self._session.limits.domain)
        acct = name if ours else f"{name}@{server}"
        return self._session.read(what, lambda c: c.account_lookup(acct), _object)

    def _page(
        self,
        what: str,
        listing: _Listing,
        max_id: str | None,
        statuses: Callable[[Any], list[Any]] = list,
    ) -> Page:
        """Newest first. The next page begins where the server says, else at the oldest of a full
        one."""

        def parse(answer: Any) -> Page:
            if not isinstance(answer, list):
                raise UnexpectedAnswer("no list")
            following = self._session.following()
            if following is None and len(answer) == PER_PAGE:
                following = min((str(one["id"]) for one in answer), key=newest_key)
            newest = sorted(self.posts(statuses(answer)), key=_order, reverse=True)
            return Page(tuple(newest), following if answer else None)

        return self._session.read(what, lambda client: listing(client, max_id), parse)


def _order(post: Post) -> tuple[bool, tuple[int, str]]:
    return post.pinned, newest_key(post.post_id)


def _mentioning(notifications: list[Any]) -> list[Any]:
    """The posts of notifications; of one that is gone since, there is none."""
    return [one["status"] for one in notifications if one.get("status")]


def _readable(status: object) -> bool:
    return isinstance(status, Mapping) and "id" in status


def _object(answer: Any) -> Json:
    if not isinstance(answer, dict) or not answer.get("id"):
        raise UnexpectedAnswer("no object")
    return answer
