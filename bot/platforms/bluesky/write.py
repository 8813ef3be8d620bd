"""Writing: the image, then the reply under a key that is fixed before it is sent.

`swapRecord: null` says that there must be no such record yet, so a reply that is sent again is the
same one, and nothing of ours is ever written over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.core.errors import (
    RateLimited,
    RecipientRefused,
    Refused,
    TargetGone,
    Unavailable,
)
from bot.core.events import Presence, Reading, Receipt, Step
from bot.platforms.bluesky.addressing import POSTS, parts_of, uri_of, url_of
from bot.platforms.bluesky.client import RequestErrorBase, Xrpc, failure_of
from bot.platforms.bluesky.parse import labels_of_content
from bot.platforms.bluesky.read import FeedReader
from bot.platforms.bluesky.record_key import key_of
from bot.platforms.bluesky.reply_modes import CANVAS, REPLY, UPLOAD
from bot.platforms.bluesky.rich_text import facets
from bot.platforms.bluesky.session import AccountSession
from bot.platforms.bluesky.settings import BlueskyAccount
from bot.platforms.bluesky.text_limits import TEXT

_MIME = "image/jpeg"
_LOOK_AGAIN = 30.0  # seconds, when the source could not be looked at


class RecordWriter:
    def __init__(self, session: AccountSession, reader: FeedReader, said: BlueskyAccount) -> None:
        self._session = session
        self._reader = reader
        self._languages = list(said.languages)
        self._labels = said.self_labels

    def send(self, step: Step) -> Receipt:
        return self._upload(step) if step.kind == UPLOAD.name else self._reply(step)

    def find(self, step: Step) -> Reading:
        """By its key, on the account's own server, which has all there is. An upload shows nothing
        to anybody, and is sent again."""
        if step.kind != REPLY.name:
            return Reading(Presence.ABSENT, detail="nobody sees an upload")
        uri = self._uri(step)
        record = self._record(uri)
        if record is None:
            return Reading(Presence.ABSENT, detail="no record has its key")
        if not _is_under(record, step.source_post_id):
            return Reading(Presence.UNKNOWN, detail="its key has another record")
        return Reading(Presence.APPLIED, Receipt(uri, url_of(uri), {"url": url_of(uri)}))

    def delete(self, remote_id: str) -> None:
        did, key = parts_of(remote_id)
        body = {"repo": did, "collection": POSTS, "rkey": key}
        self._session.call(
            "delete",
            "delete",
            lambda xrpc: xrpc.procedure("com.atproto.repo.deleteRecord", body),
        )

    def exists(self, remote_id: str) -> bool:
        return self._record(remote_id) is not None

    def _upload(self, step: Step) -> Receipt:
        data = step.image
        if not data or len(data) > CANVAS.max_bytes:
            raise Refused("upload: no image, or one too large; nothing was sent")

        def request(xrpc: Xrpc) -> Receipt:
            blob = xrpc.upload(data, _MIME)["blob"]
            width, height = step.size
            outputs = {"blob": json.dumps(blob), "width": str(width), "height": str(height)}
            return Receipt(str(blob["ref"]["$link"]), outputs=outputs)

        return self._session.call(UPLOAD.action, "upload", request)

    def _reply(self, step: Step) -> Receipt:
        if TEXT.length(step.text) > TEXT.most:
            raise Refused(f"reply: more than {TEXT.most} graphemes; nothing was sent")
        if "blob" not in step.inputs:
            raise Refused("reply: its image was not uploaded; nothing was sent")
        source, uri = self._source(step), self._uri(step)
        did, key = parts_of(uri)
        body = {
            "repo": did,
            "collection": POSTS,
            "rkey": key,
            "record": self._written(step, source),
            "swapRecord": None,
        }

        def request(xrpc: Xrpc) -> bool:
            """Whether it is new. False: the key is taken."""
            try:
                xrpc.procedure("com.atproto.repo.putRecord", body)
            except RequestErrorBase as error:
                if failure_of(error).name != "InvalidSwap":
                    raise
                return False
            return True

        new = self._session.call(REPLY.action, "reply", request)
        if not new and self.find(step).verdict is not Presence.APPLIED:
            raise Refused("reply: its key has another record")
        return Receipt(uri, url_of(uri), {"url": url_of(uri)})

    def _source(self, step: Step) -> Mapping[str, Any]:
        """The post as it is now: a reply to one that is gone would be accepted."""
        try:
            view = self._reader.view(step.source_post_id)
        except Unavailable as error:
            raise RateLimited(f"reply: nothing was sent, {error}", _LOOK_AGAIN) from None
        if (view.get("viewer") or {}).get("replyDisabled"):
            raise RecipientRefused("reply: its author does not let us reply; nothing was sent")
        return view

    def _written(self, step: Step, source: Mapping[str, Any]) -> dict[str, Any]:
        parent = {"uri": source["uri"], "cid": source["cid"]}
        root = (source["record"].get("reply") or {}).get("root") or parent
        shape = {name: int(step.inputs.get(name) or 0) for name in ("width", "height")}
        image = {"alt": step.alt_text, "image": json.loads(step.inputs["blob"])}
        if all(shape.values()):
            image["aspectRatio"] = shape
        record: dict[str, Any] = {
            "$type": POSTS,
            "text": step.text,
            "createdAt": datetime.now(UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "langs": self._languages,
            "reply": {"root": {"uri": root["uri"], "cid": root["cid"]}, "parent": parent},
            "embed": {"$type": "app.bsky.embed.images", "images": [image]},
        }
        if linked := facets(step.text, {step.author.username: step.author.user_id}):
            record["facets"] = linked
        if labels := [*dict.fromkeys((*self._labels, *sorted(labels_of_content(source))))]:
            values = [{"val": label} for label in labels]
            record["labels"] = {"$type": "com.atproto.label.defs#selfLabels", "values": values}
        return record

    def _uri(self, step: Step) -> str:
        _, source_key = parts_of(step.source_post_id)
        return uri_of(self._session.me.user_id, key_of(step.token, source_key))

    def _record(self, uri: str) -> Mapping[str, Any] | None:
        did, key = parts_of(uri)
        try:
            answer = self._session.call(
                "read",
                "record",
                lambda xrpc: xrpc.query(
                    "com.atproto.repo.getRecord", repo=did, collection=POSTS, rkey=key
                ),
            )
        except TargetGone:
            return None
        record: Mapping[str, Any] = answer["value"]
        return record


def _is_under(record: Mapping[str, Any], source: str) -> bool:
    parent = (record.get("reply") or {}).get("parent") or {}
    return bool(parent.get("uri") == source)
