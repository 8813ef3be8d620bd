"""Deleting what we published, and looking whether it is gone.

Deletions are a class of their own for pacing and circuit breakers: they may go on while publishing
is blocked, and one that is throttled keeps no reply waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from bot.core.errors import Refused, TargetGone, Unavailable
from bot.platforms.instagram.kinds import Remote
from bot.platforms.instagram.parse import pk_of
from bot.platforms.instagram.session import Session

_PAGES = 20


class Remover:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._looks: Mapping[str, Callable[[str, str], bool]] = {
            Remote.POST: self._post_there,
            Remote.STORY: self._story_there,
            Remote.COMMENT: self._comment_there,
            Remote.DM: self._message_there,
        }

    def delete(self, kind: str, remote_id: str) -> None:
        where, item = _parts(kind, remote_id)

        def request(client: Any) -> bool:
            path, data = self._order(client, kind, where, item)
            answer = client.private_request(path, data=data)
            return bool(answer.get("did_delete", answer["status"] == "ok"))

        if not self._session.call("delete", f"delete {kind}", request):
            raise Refused(f"delete {kind}: the platform says that it did not")

    def _order(self, client: Any, kind: str, where: str, item: str) -> tuple[str, dict[str, Any]]:
        """Path and fields of a deletion, as the client's own helpers send them."""
        where, item = quote(where, safe=""), quote(item, safe="")
        if kind == Remote.COMMENT:
            wanted = {
                "comment_ids_to_delete": item,
                "container_module": "self_comments_v2_newsfeed_you",
            }
            return f"media/{where}/comment/bulk_delete/", client.with_action_data(wanted)
        if kind == Remote.DM:
            path = f"direct_v2/threads/{where}/items/{item}/delete/"
            return path, {"_uuid": client.uuid}
        media_id = f"{item}_{self._session.me.user_id}"
        return f"media/{media_id}/delete/", client.with_default_data({"media_id": media_id})

    def exists(self, kind: str, remote_id: str) -> bool:
        return self._looks[kind](*_parts(kind, remote_id))

    def _post_there(self, _where: str, item: str) -> bool:
        def request(client: Any) -> bool:
            return bool(client.private_request(f"media/{quote(item, safe='')}/info/")["items"])

        try:
            return self._session.call("read", "own post", request)
        except TargetGone:
            return False

    def _story_there(self, _where: str, item: str) -> bool:
        """Among our own stories of the last day: an older one nobody sees."""

        def request(client: Any) -> bool:
            answer = client.private_request(f"feed/user/{self._session.me.user_id}/story/")
            return any(pk_of(story) == item for story in (answer["reel"] or {"items": []})["items"])

        return self._session.call("read", "own stories", request)

    def _comment_there(self, where: str, item: str) -> bool:
        def page(client: Any, cursor: str) -> tuple[bool, str]:
            params = {"max_id": cursor} if cursor else {}
            path = f"media/{quote(where, safe='')}/comments/"
            answer = client.private_request(path, params=params)
            found = any(pk_of(comment) == item for comment in answer["comments"])
            more = answer.get("has_more_comments", True)
            return found, str(answer.get("next_max_id") or "") if more else ""

        return self._listed("comments", page)

    def _message_there(self, where: str, item: str) -> bool:
        def page(client: Any, cursor: str) -> tuple[bool, str]:
            params = {"direction": "older", "limit": "20", **({"cursor": cursor} if cursor else {})}
            path = f"direct_v2/threads/{quote(where, safe='')}/"
            answer = client.private_request(path, params=params)
            thread = answer["thread"]
            found = any(str(message["item_id"]) == item for message in thread["items"])
            return found, str(thread["oldest_cursor"]) if thread["has_older"] else ""

        return self._listed("thread", page)

    def _listed(self, what: str, page: Callable[..., tuple[bool, str]]) -> bool:
        """Page after page until it is found; absent only when the listing came to its end."""
        cursor = ""
        for _ in range(_PAGES):
            at = cursor
            try:
                found, cursor = self._session.call("read", what, partial(page, cursor=at))
            except TargetGone:
                return False  # what it was under is gone, and it with that
            if found:
                return True
            if not cursor:
                return False
            if cursor == at:
                break
        raise Unavailable(f"{what}: the listing does not end")


def _parts(kind: str, remote_id: str) -> tuple[str, str]:
    """What it lies under ("" for what stands alone) and its own id. Raises ValueError."""
    where, _, item = remote_id.rpartition("/")
    if not item or bool(where) != (kind in (Remote.COMMENT, Remote.DM)):
        raise ValueError(f"{remote_id!r} is no {kind}")
    return where, item
