"""Listings and single posts.

Every read goes to the private API directly: the client's own helpers answer some failures with an
empty list, drop posts they cannot read, and fail a whole page for one `null`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from bot.core.bots import says_bot
from bot.core.errors import Refused, TargetGone, TargetPrivate
from bot.core.events import Author, CommentPage, Page, Post
from bot.core.normal_form import hashtag, username
from bot.platforms.instagram.parse import (
    Malformed,
    author_from,
    caption_mentions,
    comments_from,
    pk_of,
    post_from,
    posts_from,
    section_items,
)
from bot.platforms.instagram.session import Session

PER_PAGE = 33  # the most a profile answers with
_MENTIONS_KEPT = 64
_MENTIONS_FETCHED = 16  # new ones in one poll; the next poll goes on


class Reader:
    def __init__(self, session: Session) -> None:
        self._session = session
        # Posts the inbox named, kept so that every poll does not fetch them again; None: gone.
        self._mentioned: OrderedDict[str, Post | None] = OrderedDict()

    def hashtag(self, tag: str, cursor: str | None) -> Page:
        def request(client: Any) -> Page:
            data = {
                "tab": "recent",
                "media_recency_filter": "top_recent_posts",
                "_uuid": client.uuid,
                "include_persistent": "false",
                "rank_token": client.rank_token,
                **(json.loads(cursor) if cursor else {}),
            }
            path = f"tags/{quote(hashtag(tag), safe='')}/sections/"
            answer = client.private_request(path, data=data, with_signature=False)
            posts = posts_from(section_items(answer["sections"]))
            newest = sorted(posts, key=lambda post: post.taken_at, reverse=True)
            return Page(tuple(newest), _section_cursor(answer))

        return self._session.call("read", f"hashtag {tag}", request)

    def profile(self, username: str, cursor: str | None) -> Page:
        """The cursor carries the user id: names change, and later pages need no look-up."""
        what = f"profile {username}"
        if cursor:
            user_id, _, max_id = cursor.partition(":")
            return self._feed(what, user_id, max_id)[0]
        path = f"users/{quote(username, safe='')}/usernameinfo/"
        user = self._session.call("read", what, lambda c: _user(c.private_request(path)))
        page, empty = self._feed(what, pk_of(user), "")
        if empty and user.get("is_private") and user.get("media_count"):
            raise TargetPrivate(f"{what}: private")
        return page

    def mentions(self, cursor: str | None) -> Page:
        """Posts that tag us; aside, with the first page, those whose caption mentions us."""
        me = self._session.me

        def tagged(client: Any) -> Page:
            params = {"max_id": cursor} if cursor else {}
            answer = client.private_request(f"usertags/{me.user_id}/feed/", params=params)
            return Page(posts_from(answer["items"]), _max_id(answer))

        page = self._session.call("read", "tagged posts", tagged)
        if cursor:
            return page
        return Page(page.posts, page.cursor, aside=tuple(self._in_captions(me)))

    def post(self, post_id: str) -> Post:
        return self._session.call("read", f"post {post_id}", lambda c: post_from(_item(c, post_id)))

    def comments(self, post_id: str, cursor: str | None) -> CommentPage:
        def request(client: Any) -> CommentPage:
            path = f"media/{quote(post_id, safe='')}/comments/"
            answer = client.private_request(path, params={"max_id": cursor} if cursor else {})
            more = answer.get("next_max_id") if answer.get("has_more_comments", True) else None
            return CommentPage(comments_from(answer["comments"]), str(more) if more else None)

        return self._session.call("read", f"comments of {post_id}", request)

    def author(self, user_id: str) -> Author:
        """A person, fresh: one request. What does not say that it is public counts as private."""

        def request(client: Any) -> Author:
            user = _user(client.private_request(f"users/{quote(user_id, safe='')}/info/"))
            return replace(
                author_from(user),
                is_private=user.get("is_private") is not False,
                is_bot=says_bot(str(user.get("biography") or "")),
            )

        return self._session.call("read", f"user {user_id}", request)

    def _feed(self, what: str, user_id: str, max_id: str) -> tuple[Page, bool]:
        def request(client: Any) -> tuple[Page, bool]:
            answer = own_feed(client, user_id, max_id)
            following = _max_id(answer)
            cursor = f"{user_id}:{following}" if following else None
            return Page(posts_from(answer["items"]), cursor, owner=user_id), not answer["items"]

        return self._session.call("read", what, request)

    def _in_captions(self, me: Author) -> list[Post]:
        inbox = self._session.call(
            "read",
            "activity",
            lambda c: c.private_request("news/inbox/", params={"mark_as_seen": "false"}),
        )
        named = list(dict.fromkeys(caption_mentions(inbox)))[:_MENTIONS_KEPT]
        unknown = [post_id for post_id in named if post_id not in self._mentioned]
        for post_id in unknown[:_MENTIONS_FETCHED]:
            self._mentioned[post_id] = self._readable(post_id)
        for post_id in named:
            if post_id in self._mentioned:
                self._mentioned.move_to_end(post_id)
        while len(self._mentioned) > _MENTIONS_KEPT:
            self._mentioned.popitem(last=False)
        found = (self._mentioned.get(post_id) for post_id in named)
        return [post for post in found if post and username(me.username) in post.mentions]

    def _readable(self, post_id: str) -> Post | None:
        """A post, or None when it is gone, private or malformed for good. Other failures go up."""
        try:
            item = self._session.call("read", f"post {post_id}", lambda c: _item(c, post_id))
            return posts_from([item])[0]
        except (Refused, Malformed):
            return None


def own_feed(client: Any, user_id: str, max_id: str) -> Mapping[str, Any]:
    """One raw page of a person's posts, pinned ones first."""
    params = {"count": str(PER_PAGE), "rank_token": client.rank_token, "ranked_content": "true"}
    if max_id:
        params["max_id"] = max_id
    answer: Mapping[str, Any] = client.private_request(f"feed/user/{user_id}/", params=params)
    return answer


def _item(client: Any, post_id: str) -> Any:
    answer = client.private_request(f"media/{quote(post_id, safe='')}/info/")
    if not answer["items"]:
        raise TargetGone(f"post {post_id}: no such post")
    return answer["items"][0]


def _section_cursor(answer: Mapping[str, Any]) -> str | None:
    if not answer["more_available"] or not answer.get("next_max_id"):
        return None
    ids = json.dumps(answer.get("next_media_ids") or [])
    return json.dumps({"max_id": answer["next_max_id"], "next_media_ids": ids})


def _max_id(answer: Mapping[str, Any]) -> str | None:
    if not answer.get("more_available", True):
        return None
    return str(answer["next_max_id"]) if answer.get("next_max_id") else None


def _user(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    user = answer["user"]
    if not isinstance(user, Mapping):
        raise Malformed("no user")
    return user
