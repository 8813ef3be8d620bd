"""Reading: listings, posts and people, through the account's server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bot.core.errors import TargetGone, TargetPrivate
from bot.core.events import Author, CommentPage, Page, Post
from bot.platforms.bluesky.client import Xrpc
from bot.platforms.bluesky.parse import (
    author_from,
    closed,
    comment_from,
    media_of,
    post_from,
    unwelcome,
)
from bot.platforms.bluesky.session import AccountSession

_PAGE = 50
_AT_ONCE = 25  # posts that one request may name


class FeedReader:
    """`avoid`: labels of posts that are left out everywhere."""

    def __init__(self, session: AccountSession, avoid: Collection[str]) -> None:
        self._session = session
        self._avoid = frozenset(avoid)

    def hashtag(self, tag: str, cursor: str | None) -> Page:
        def request(xrpc: Xrpc) -> Page:
            answer = xrpc.query(
                "app.bsky.feed.searchPosts",
                q=f"#{tag}",
                sort="latest",
                limit=_PAGE,
                cursor=cursor,
            )
            found = self._posts(answer["posts"])
            return Page(tuple(p for p in found if tag in p.hashtags), answer.get("cursor"))

        return self._session.call("read", "hashtag", request)

    def profile(self, username: str, cursor: str | None) -> Page:
        """Of a handle that nobody has any more: of whom it was when we read it first."""
        person = self._person(username)

        def request(xrpc: Xrpc) -> Page:
            answer = xrpc.query(
                "app.bsky.feed.getAuthorFeed",
                actor=person["did"],
                filter="posts_with_media",
                includePins="true",
                limit=_PAGE,
                cursor=cursor,
            )
            found = [
                post
                for item in answer["feed"]
                if not _kind(item).endswith("#reasonRepost")
                for post in self._posts([item["post"]], pinned=_kind(item).endswith("#reasonPin"))
            ]
            return Page(tuple(found), answer.get("cursor"), owner=str(person["did"]))

        return self._session.call("read", "profile", request)

    def mentions(self, cursor: str | None) -> Page:
        """Of the notifications those of mentions, and of replies to us that show an image."""

        def request(xrpc: Xrpc) -> tuple[list[str], str | None]:
            answer = xrpc.query(
                "app.bsky.notification.listNotifications", limit=_PAGE, cursor=cursor
            )
            wanted = [str(one["uri"]) for one in answer["notifications"] if _asks(one)]
            return wanted, answer.get("cursor")

        uris, following = self._session.call("read", "notifications", request)
        return Page(tuple(self.posts(uris)), following)

    def posts(self, uris: Sequence[str]) -> list[Post]:
        """Those of these posts that are there and welcome, in this order."""
        views: dict[str, Mapping[str, Any]] = {}
        for some in _some(uris):
            for view in self.views(some):
                views[str(view["uri"])] = view
        return self._posts(views[uri] for uri in uris if uri in views)

    def views(self, uris: Sequence[str]) -> list[Mapping[str, Any]]:
        """Up to 25 posts as the network shows them to us; what is gone is missing."""
        answer = self._session.call(
            "read", "posts", lambda xrpc: xrpc.query("app.bsky.feed.getPosts", uris=list(uris))
        )
        found: list[Mapping[str, Any]] = answer.get("posts") or []
        return found

    def view(self, post_id: str) -> Mapping[str, Any]:
        """One post. Raises TargetGone, or TargetPrivate for what is not for us."""

        def request(xrpc: Xrpc) -> Mapping[str, Any]:
            found = xrpc.query("app.bsky.feed.getPosts", uris=[post_id])["posts"]
            if not found:
                raise TargetGone(f"{post_id}: no such post")
            view: Mapping[str, Any] = found[0]
            if why := unwelcome(view, self._avoid):
                raise TargetPrivate(f"{post_id}: {why}")
            return view

        return self._session.call("read", "post", request)

    def post(self, post_id: str) -> Post:
        return post_from(self.view(post_id), self._session.me)

    def comments(self, post_id: str) -> CommentPage:
        """All that one answer shows: the network gives no pages of them."""

        def request(xrpc: Xrpc) -> CommentPage:
            thread = xrpc.query(
                "app.bsky.feed.getPostThread", uri=post_id, depth=1, parentHeight=0
            )["thread"]
            if "post" not in thread:
                raise TargetGone(f"{post_id}: no such post")
            shown = (one["post"] for one in thread.get("replies") or () if "post" in one)
            return CommentPage(tuple(map(comment_from, shown)))

        return self._session.call("read", "thread", request)

    def author(self, user_id: str) -> Author:
        return self._session.call(
            "read",
            "author",
            lambda xrpc: author_from(xrpc.query("app.bsky.actor.getProfile", actor=user_id)),
        )

    def _person(self, username: str) -> Mapping[str, Any]:
        known = self._session.people.get(username)
        try:
            view = self._profile(username)
        except TargetGone:
            if known is None:
                raise
            view = self._profile(known)
        self._session.remember(username, str(view["did"]))
        return view

    def _profile(self, actor: str) -> Mapping[str, Any]:
        def request(xrpc: Xrpc) -> Mapping[str, Any]:
            view = xrpc.query("app.bsky.actor.getProfile", actor=actor)
            if closed(view):
                raise TargetPrivate(f"{actor}: blocked, muted, or for members only")
            return view

        return self._session.call("read", "profile", request)

    def _posts(self, views: Iterable[Mapping[str, Any]], *, pinned: bool = False) -> list[Post]:
        """Without our own, and what is not for us."""
        me = self._session.me
        return [
            post_from(view, me, pinned=pinned)
            for view in views
            if view["author"]["did"] != me.user_id and not unwelcome(view, self._avoid)
        ]


def _kind(item: Mapping[str, Any]) -> str:
    """Why an item is in a feed; "" for a post in its place."""
    return str((item.get("reason") or {}).get("$type") or "")


def _asks(notification: Mapping[str, Any]) -> bool:
    if notification["reason"] == "mention":
        return True
    did = str(notification["author"]["did"])
    return notification["reason"] == "reply" and any(media_of(notification["record"], did))


def _some(uris: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(uris), _AT_ONCE):
        yield list(uris[start : start + _AT_ONCE])
