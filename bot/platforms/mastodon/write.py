"""The writes of a reply, one network write per step, and how they are found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mastodon import Mastodon

from bot.core.errors import RateLimited, Refused, TargetGone, Unavailable
from bot.core.events import Presence, Reading, Receipt, Step
from bot.platforms.mastodon.addressing import qualified
from bot.platforms.mastodon.image import fitted
from bot.platforms.mastodon.parse import Json, moment, newest_key
from bot.platforms.mastodon.read import PER_PAGE, StatusReader
from bot.platforms.mastodon.reply_modes import REPLY, UPLOAD
from bot.platforms.mastodon.session import TokenSession
from bot.platforms.mastodon.text_limits import limit
from bot.platforms.mastodon.translate import UnexpectedAnswer

WAITS = (0.2, 0.4, 0.8, 1.6)  # seconds between looks at an image that the server works on
LATER = 3.0  # seconds until the reply is tried again, while it does
MARGIN = timedelta(days=1)  # how much further back than the write we look: clocks may differ
_PAGES = 20
_KNOWN = ("public", "unlisted", "private", "direct")  # from the widest to the closest


class StatusWriter:
    def __init__(
        self, session: TokenSession, reader: StatusReader, *, visibility: str, language: str
    ) -> None:
        self._session = session
        self._reader = reader
        self._visibility = visibility
        self._language = language
        self._ways: Mapping[str, Callable[[Step], Receipt]] = {
            UPLOAD.name: self._upload,
            REPLY.name: self._reply,
        }

    def send(self, step: Step) -> Receipt:
        return self._ways[step.kind](step)

    def find(self, step: Step, since: datetime) -> Reading:
        """Among our own posts, by the post that they reply to: there is one to each.

        ABSENT is said only when they were read back to well before the write.
        """
        if step.kind != REPLY.name:
            return Reading(Presence.ABSENT, detail="an upload shows nothing and may be repeated")
        source, cursor, count = self._reader.local(step.source_post_id), None, 0
        for _ in range(_PAGES):
            statuses, following = self._own(cursor)
            count += len(statuses)
            found = next((s for s in statuses if s.get("in_reply_to_id") == source), None)
            if found is not None:
                return Reading(Presence.APPLIED, self._receipt(found))
            past = any(moment(one["created_at"]) < since - MARGIN for one in statuses)
            if past or following is None:
                return Reading(Presence.ABSENT, detail=f"not among {count} of our own posts")
            cursor = following
        return Reading(Presence.UNKNOWN, detail=f"own posts: more than {_PAGES} pages")

    def delete(self, remote_id: str) -> None:
        local = self._reader.local(remote_id)
        self._session.send("delete", "delete a status", lambda c: c.status_delete(local), bool)

    def exists(self, remote_id: str) -> bool:
        try:
            self._reader.status(remote_id)
        except TargetGone:
            return False
        return True

    def _upload(self, step: Step) -> Receipt:
        """The image with its description. The server may go on working on it for a while."""
        limits = self._session.limits
        if not step.image:
            raise Refused("upload: no image; nothing was sent")
        image, kind = fitted(step.image, limits, step.alt_text)
        words = step.alt_text[: limits.description] or None

        def request(client: Mastodon) -> Any:
            name = f"reply.{kind.partition('/')[2]}"
            return client.media_post(image, kind, description=words, file_name=name)

        media = self._session.send("upload", "upload", request, _media)
        ready = _ready(media)
        for wait in WAITS:
            if ready or self._session.pacer.rest(wait):
                break
            ready = self._is_ready(str(media["id"]))
        outputs = {"media_id": str(media["id"])} | ({} if ready else {"processing": "yes"})
        return Receipt(str(media["id"]), outputs=outputs)

    def _is_ready(self, media_id: str) -> bool:
        """Raises Refused when the server could not read the image."""
        try:
            return self._session.read("image", lambda client: client.media(media_id), _ready)
        except Unavailable:
            return False  # the reply looks again

    def _reply(self, step: Step) -> Receipt:
        media_id = step.inputs.get("media_id")
        if not media_id:
            raise Refused("reply: an earlier step gave no media_id; nothing was sent")
        if step.inputs.get("processing") and not self._is_ready(media_id):
            raise RateLimited("reply: the server still works on the image", LATER)
        local = self._reader.local(step.source_post_id)
        parent = self._parent(step)

        def request(client: Mastodon) -> Any:
            return client.status_post(
                self._text(step),
                in_reply_to_id=local,
                media_ids=[media_id],
                sensitive=parent.get("sensitive") is True,
                spoiler_text=str(parent.get("spoiler_text") or "") or None,
                visibility=_closer(self._visibility, str(parent.get("visibility"))),
                language=self._language or None,
                idempotency_key=step.token,
            )

        return self._session.send("publish", "reply", request, self._receipt)

    def _parent(self, step: Step) -> Json:
        """A failed look sends nothing, so it is no doubt about the write."""
        try:
            return self._reader.parent(step.source_post_id)
        except Unavailable as error:
            raise RateLimited(f"reply: its post cannot be looked at: {error}", LATER) from None

    def _text(self, step: Step) -> str:
        """With a mention of the author, without which they are not told; within the limit."""
        name = f"@{step.author.username}"
        text = step.text if name.lower() in step.text.lower() else f"{name} {step.text}"
        return limit(self._session.limits.characters).fitted(text, step.source_url)

    def _own(self, max_id: str | None) -> tuple[list[Json], str | None]:
        account = self._reader.local(self._session.me.user_id)

        def request(client: Mastodon) -> Any:
            return client.account_statuses(
                account, exclude_reblogs=True, max_id=max_id, limit=PER_PAGE
            )

        def parse(answer: Any) -> tuple[list[Json], str | None]:
            if not isinstance(answer, list):
                raise UnexpectedAnswer("no list")
            following = self._session.following()
            if following is None and len(answer) == PER_PAGE:
                following = min((str(one["id"]) for one in answer), key=newest_key)
            return answer, following if answer else None

        return self._session.read("own posts", request, parse)

    def _receipt(self, status: Any) -> Receipt:
        local = str(status["id"])
        url = str(status.get("url") or status.get("uri") or "")
        return Receipt(qualified(self._session.server, local), url, {"status_id": local})


def _media(answer: Any) -> Json:
    if not isinstance(answer, dict) or not answer.get("id"):
        raise UnexpectedAnswer("no attachment")
    return answer


def _ready(media: Any) -> bool:
    return bool(_media(media).get("url"))


def _closer(ours: str, theirs: str) -> str:
    """Never seen by more people than the post itself."""
    return max(ours, theirs if theirs in _KNOWN else ours, key=_KNOWN.index)
