"""Was a write of unknown outcome applied? Asked by reading, never by writing.

ABSENT is said only when a complete listing, back to well before the write, does not show it. What
is cut short makes the answer UNKNOWN, with the reason; a reading that failed raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from bot.core.events import Presence, Reading, Receipt, Step
from bot.platforms.instagram.kinds import StepKind
from bot.platforms.instagram.parse import Malformed, caption_of, moment
from bot.platforms.instagram.read import own_feed
from bot.platforms.instagram.session import Session
from bot.platforms.instagram.write import (
    Writer,
    client_context_of,
    comment_receipt,
    media_receipt,
    message_receipt,
    story_receipt,
)

SKEW = timedelta(minutes=2)  # what is left of the clocks' difference once it is measured
MARGIN = timedelta(days=1)  # how much further back a listing is read: clocks may differ by hours
STORY_LIFE = timedelta(hours=23)  # one hour of margin: an expired story looks like none
_PAGES = 20

Fetch = Callable[[Any, str], tuple[list[Any], str]]  # (client, cursor) -> items, next cursor
Match = Callable[[Mapping[str, Any]], Receipt | None]


class Finder:
    def __init__(self, session: Session, writer: Writer) -> None:
        self._session = session
        self._writer = writer
        self._ahead = timedelta()  # of the platform's clock over ours, by its last answer
        self._ways: Mapping[str, Callable[[Step, datetime], Reading]] = {
            StepKind.POST: self._post,
            StepKind.STORY: self._story,
            StepKind.DM_TEXT: self._message,
            StepKind.DM_PHOTO: self._message,
            StepKind.COMMENT: self._comment,
        }

    def find(self, step: Step, since: datetime) -> Reading:
        look = self._ways.get(step.kind)
        if look is None:
            return _absent("an upload shows nothing and may be repeated")
        return look(step, since)

    def _post(self, step: Step, since: datetime) -> Reading:
        """In our own feed, by the link to the source: there is one reply to it, whenever made."""
        me = self._session.me

        def fetch(client: Any, cursor: str) -> tuple[list[Any], str]:
            answer = own_feed(client, me.user_id, cursor)
            more = bool(answer["more_available"])
            return _items(answer, "items"), str(answer["next_max_id"]) if more else ""

        def match(item: Mapping[str, Any]) -> Receipt | None:
            caption = caption_of(item).strip()
            ours = step.source_url in caption if step.source_url else caption == step.text.strip()
            return media_receipt(item) if ours else None

        def older(item: Mapping[str, Any]) -> bool:
            return _taken(item) < since - MARGIN and not item.get("timeline_pinned_user_ids")

        return self._search("own feed", fetch, match, older)

    def _story(self, step: Step, since: datetime) -> Reading:
        """In our own stories, by the mention of the author."""
        me = self._session.me
        if datetime.now(UTC) - since > STORY_LIFE:
            return _unknown("the story would have expired by now")

        def fetch(client: Any, _cursor: str) -> tuple[list[Any], str]:
            answer = client.private_request(f"feed/user/{me.user_id}/story/")
            return _items(answer["reel"] or {"items": []}, "items"), ""

        def match(item: Mapping[str, Any]) -> Receipt | None:
            mentioned = {str(m["user"]["pk"]) for m in item.get("reel_mentions") or ()}
            text = caption_of(item).strip()
            same_text = not text or text == step.text.strip()  # often not shown at all
            young = _taken(item) >= since - SKEW + self._ahead
            ours = step.author.user_id in mentioned and same_text and young
            return story_receipt(item, me.username) if ours else None

        return self._search("own stories", fetch, match, lambda _item: False)

    def _message(self, step: Step, since: datetime) -> Reading:
        """In the thread, by our client context."""
        thread_id = step.inputs.get("thread_id") or self._writer.thread_of(step.author.user_id)
        if thread_id is None:
            return _absent("there is no thread with this person")
        me, context = self._session.me, client_context_of(step.token)

        def fetch(client: Any, cursor: str) -> tuple[list[Any], str]:
            params = {"direction": "older", "limit": "20", **({"cursor": cursor} if cursor else {})}
            answer = client.private_request(f"direct_v2/threads/{thread_id}/", params=params)
            thread = answer["thread"]
            more = bool(thread["has_older"])
            return _items(thread, "items"), str(thread["oldest_cursor"]) if more else ""

        def match(item: Mapping[str, Any]) -> Receipt | None:
            shown = str(item.get("client_context") or "")
            begin = since - SKEW + self._ahead
            ours = shown == context if shown else _resembles(item, step, me.user_id, begin)
            return message_receipt(str(item["item_id"]), thread_id) if ours else None

        return self._search(
            "thread", fetch, match, lambda item: _message_time(item) < since - MARGIN
        )

    def _comment(self, step: Step, since: datetime) -> Reading:
        """Among the source's comments, by our user id and text: there is one to a source."""
        me, media_id = self._session.me, f"{step.source_post_id}_{step.author.user_id}"
        seen, stated = 0, 0

        def fetch(client: Any, cursor: str) -> tuple[list[Any], str]:
            nonlocal seen, stated
            params = {"can_support_threading": "true", "permalink_enabled": "false"}
            if cursor:
                params |= dict([cursor.split("=", 1)])
            answer = client.private_request(f"media/{media_id}/comments/", params=params)
            comments = _items(answer, "comments")
            seen += sum(1 + int(c.get("child_comment_count") or 0) for c in comments)
            stated = max(stated, int(answer.get("comment_count") or 0))
            return comments, _comment_cursor(answer)

        def match(item: Mapping[str, Any]) -> Receipt | None:
            author = str(item.get("user_id") or item["user"]["pk"])
            same = author == me.user_id and str(item["text"]).strip() == step.text.strip()
            return comment_receipt(item, step) if same else None

        reading = self._search("comments", fetch, match, lambda _item: False)
        if reading.verdict is Presence.ABSENT and seen < stated:
            return _unknown(f"only {seen} of {stated} comments are shown")
        return reading

    def _search(
        self, what: str, fetch: Fetch, match: Match, older: Callable[[Mapping[str, Any]], bool]
    ) -> Reading:
        """Page after page until a match, the end, or an item `older` than the write.

        Items are matched inside the request, so that one we cannot read counts as a failed reading.
        """
        cursor, count = "", 0

        def page(client: Any) -> tuple[Receipt | None, bool, int, str]:
            items, following = fetch(client, cursor)
            self._ahead = _clock_ahead(client.last_response)
            receipt = next((found for item in items if (found := match(item))), None)
            return receipt, any(older(item) for item in items), len(items), following

        for _ in range(_PAGES):
            receipt, past, more, following = self._session.call("read", what, page)
            count += more
            if receipt:
                return Reading(Presence.APPLIED, receipt)
            if past or not following:
                return _absent(f"not among {count} items of {what}")
            if following == cursor:
                return _unknown(f"{what}: the listing repeats itself")
            cursor = following
        return _unknown(f"{what}: more than {_PAGES} pages")


def _resembles(item: Mapping[str, Any], step: Step, user_id: str, since: datetime) -> bool:
    """A message without client context: ours by sender, time and type (and text)."""
    if str(item["user_id"]) != user_id or _message_time(item) < since:
        return False
    if step.kind == StepKind.DM_TEXT:
        return step.text.strip() in _texts(item)
    return item["item_type"] not in ("text", "link")


def _texts(item: Mapping[str, Any]) -> Iterator[str]:
    for text in (item.get("text"), (item.get("link") or {}).get("text")):
        if text:
            yield str(text).strip()


def _items(answer: Mapping[str, Any], key: str) -> list[Any]:
    """The list of a listing; its absence is no empty list. Raises Malformed."""
    items = answer[key]
    if not isinstance(items, list):
        raise Malformed(f"no {key}")
    return items


def _comment_cursor(answer: Mapping[str, Any]) -> str:
    """`name=value` of the parameter that leads to the next page; '' at the end."""
    for name, flag in (("min_id", "has_more_headload_comments"), ("max_id", "has_more_comments")):
        if answer.get(f"next_{name}") and answer.get(flag, True):
            return f"{name}={answer[f'next_{name}']}"
    return ""


def _taken(item: Mapping[str, Any]) -> datetime:
    return moment(item.get("taken_at"))


def _message_time(item: Mapping[str, Any]) -> datetime:
    return moment(int(item["timestamp"]) / 1_000_000)


def _clock_ahead(response: Any) -> timedelta:
    """How far the platform's clock is ahead of ours, by the Date header; 0 without one."""
    try:
        date = parsedate_to_datetime(response.headers["date"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return timedelta()
    return date - datetime.now(UTC)


def _absent(detail: str) -> Reading:
    return Reading(Presence.ABSENT, detail=detail)


def _unknown(detail: str) -> Reading:
    return Reading(Presence.UNKNOWN, detail=detail)
