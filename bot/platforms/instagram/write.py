"""The writes of a reply, one network write per step.

Ids on the wire come from the step's token alone, so a step sent again carries the same ones.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from bot.core.errors import Refused
from bot.core.events import Receipt, Step
from bot.platforms.instagram.client import story_mention, usertag
from bot.platforms.instagram.kinds import StepKind
from bot.platforms.instagram.parse import pk_of
from bot.platforms.instagram.session import Session
from bot.platforms.instagram.translate import UploadRefused

SETTLE = 3.0  # seconds between an upload and its use: the platform is still working on it
_TAG_AT = (0.5, 0.9)  # the author's tag: in the middle, near the lower edge


class Writer:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._ways: Mapping[str, Callable[[Step], Receipt]] = {
            StepKind.UPLOAD: self._upload,
            StepKind.POST: self._post,
            StepKind.STORY: self._story,
            StepKind.DM_TEXT: self._dm_text,
            StepKind.DM_UPLOAD: self._dm_upload,
            StepKind.DM_PHOTO: self._dm_photo,
            StepKind.COMMENT: self._comment,
        }

    def send(self, step: Step) -> Receipt:
        return self._ways[step.kind](step)

    def thread_of(self, user_id: str) -> str | None:
        """The id of our thread with a person; None when there is none."""

        def request(client: Any) -> str | None:
            answer = client.private_request(
                "direct_v2/threads/get_by_participants/",
                params={"recipient_users": json.dumps([int(user_id)]), "seq_id": 0, "limit": 20},
            )
            return thread_id_of(answer.get("thread") or {})

        return self._session.call("read", "direct thread", request)

    def _upload(self, step: Step) -> Receipt:
        """The bytes go out as they are: the client's own upload would encode the image again."""
        image, upload_id = _image(step), upload_id_of(step.token)
        name = f"{upload_id}_0_{_digits(step.token, 'name', 10)}"
        parameters = {
            "retry_context": '{"num_step_auto_retry":0,"num_reupload":0,"num_step_manual_retry":0}',
            "media_type": "1",
            "xsharing_user_ids": "[]",
            "upload_id": upload_id,
            "image_compression": '{"lib_name":"moz","lib_version":"3.1.m","quality":"80"}',
        }

        def request(client: Any) -> Receipt:
            headers = client.private_headers(
                {
                    "Accept-Encoding": "gzip",
                    "X-Instagram-Rupload-Params": json.dumps(parameters),
                    "X_FB_PHOTO_WATERFALL_ID": _uuid(step.token, "waterfall"),
                    "X-Entity-Type": "image/jpeg",
                    "Offset": "0",
                    "X-Entity-Name": name,
                    "X-Entity-Length": str(len(image)),
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(len(image)),
                }
            )
            url = f"https://{client.domain}/rupload_igphoto/{name}"
            _accepted(client, client.private.post(url, data=image, headers=headers))
            width, height = step.size
            outputs = {"upload_id": upload_id, "width": str(width), "height": str(height)}
            return Receipt(upload_id, outputs=outputs)

        return self._session.call("upload", "upload", request)

    def _post(self, step: Step) -> Receipt:
        author = step.author
        tag = usertag(author.user_id, author.username, *_TAG_AT)

        def request(client: Any) -> Receipt:
            answer = client.photo_configure(
                *_uploaded(step), step.text, [tag], extra_data=_alt_text(step)
            )
            return media_receipt(answer["media"])

        self._settle()
        return self._session.call("publish", "post", request)

    def _story(self, step: Step) -> Receipt:
        mention = story_mention(step.author.user_id, step.author.username)

        def request(client: Any) -> Receipt:
            answer = client.photo_configure_to_story(
                *_uploaded(step), step.text, [mention], extra_data=_alt_text(step)
            )
            return story_receipt(answer["media"], self._session.me.username)

        self._settle()
        return self._session.call("publish", "story", request)

    def _dm_text(self, step: Step) -> Receipt:
        """Says what the photo is about, and opens the thread where there is none yet."""
        if not step.text:
            raise Refused("direct message: no text to send; nothing was sent")
        recipients = {"recipient_users": json.dumps([[int(step.author.user_id)]])}
        links = re.findall(r"https?://\S+", step.text)
        if links:
            kind, said = "link", {"link_text": step.text, "link_urls": json.dumps(links)}
        else:
            kind, said = "text", {"text": step.text}

        def request(client: Any) -> Receipt:
            data = {"send_attribution": "message_button", "send_silently": "false"}
            return self._broadcast(client, step, kind, {**data, **recipients, **said})

        return self._session.call("dm", "direct message", request)

    def _dm_upload(self, step: Step) -> Receipt:
        image, name = _image(step), f"fb_uploader_{upload_id_of(step.token)}"

        def request(client: Any) -> Receipt:
            headers = client._messenger_rupload_headers(
                {
                    "image_type": "FILE_ATTACHMENT",
                    "content-type": "application/octet-stream",
                    "offset": "0",
                    "x-entity-length": str(len(image)),
                    "x-entity-name": name,
                    "x-entity-type": "image/jpeg",
                }
            )
            url = f"https://rupload.facebook.com/messenger_image/{name}"
            answer = _accepted(client, client.public.post(url, data=image, headers=headers))
            media_id = str(int(answer["media_id"]))
            return Receipt(media_id, outputs={"attachment_id": media_id})

        return self._session.call("upload", "direct upload", request)

    def _dm_photo(self, step: Step) -> Receipt:
        # Without it, a person confirmed the text that opened the thread, whose answer was lost.
        thread_id = step.inputs.get("thread_id") or self.thread_of(step.author.user_id)
        if thread_id is None:
            raise Refused("direct photo: there is no thread; nothing was sent")
        sent = {
            "thread_ids": json.dumps([int(thread_id)]),
            "attachment_fbid": _input(step, "attachment_id"),
            "send_attribution": "inbox",
            "allow_full_aspect_ratio": "true",
        }
        return self._session.call(
            "dm", "direct photo", lambda c: self._broadcast(c, step, "photo_attachment", sent)
        )

    def _broadcast(self, client: Any, step: Step, kind: str, sent: Mapping[str, str]) -> Receipt:
        token = client_context_of(step.token)
        data = {
            "action": "send_item",
            "is_x_transport_forward": "false",
            "is_shh_mode": "0",
            "client_context": token,
            "device_id": client.android_device_id,
            "mutation_token": token,
            "_uuid": client.uuid,
            "btt_dual_send": "false",
            "is_ae_dual_send": "false",
            "offline_threading_id": token,
            **sent,
        }
        answer = client.private_request(
            f"direct_v2/threads/broadcast/{kind}/",
            data=client.with_default_data(data),
            with_signature=False,
        )
        payload = answer["payload"]
        thread_id = thread_id_of(payload) or step.inputs.get("thread_id", "")
        return message_receipt(str(payload["item_id"]), thread_id)

    def _comment(self, step: Step) -> Receipt:
        media_id = f"{step.source_post_id}_{step.author.user_id}"
        token = idempotence_token_of(step.token)

        def request(client: Any) -> Receipt:
            data = {
                "delivery_class": "organic",
                "feed_position": "0",
                "container_module": "feed_timeline",
                "media_id": media_id,
                "_uid": str(client.user_id),
                "tap_source": "button",
                "is_2m_enabled": "false",
                "is_carousel_bumped_post": "false",
                "is_from_swipe": "false",
                "floating_context_items": "[]",
                "media_pct_watched": "0",
                "user_breadcrumb": client.gen_user_breadcrumb(len(step.text)),
                "idempotence_token": token,
                "comment_creation_key": token,
                "include_e2ee_mentioned_user_list": "true",
                "include_media_code": "true",
                "comment_text": step.text,
            }
            path = f"media/{media_id}/comment/"
            answer = client.private_request(path, client.with_action_data(data))
            return comment_receipt(answer["comment"], step)

        return self._session.call("comment", "comment", request)

    def _settle(self) -> None:
        if self._session.delay[1] > 0:
            time.sleep(SETTLE)


def upload_id_of(token: str) -> str:
    """An upload id, 15 digits as the app's clock gives them, fixed by the token."""
    return "1" + _digits(token, "upload", 14)


def client_context_of(token: str) -> str:
    """A client context of direct messages, 19 digits, fixed by the token."""
    return "68000" + _digits(token, "context", 14)


def idempotence_token_of(token: str) -> str:
    return _uuid(token, "comment")


def media_receipt(media: Mapping[str, Any]) -> Receipt:
    pk, code = pk_of(media), str(media["code"])
    url = f"https://www.instagram.com/p/{code}/"
    return Receipt(pk, url, {"media_id": pk, "code": code})


def story_receipt(media: Mapping[str, Any], username: str) -> Receipt:
    pk = pk_of(media)
    return Receipt(pk, f"https://www.instagram.com/stories/{username}/{pk}/", {"media_id": pk})


def comment_receipt(comment: Mapping[str, Any], step: Step) -> Receipt:
    pk = pk_of(comment)
    remote_id = f"{step.source_post_id}/{pk}"
    return Receipt(remote_id, f"{step.source_url}c/{pk}/", {"comment_id": pk})


def message_receipt(item_id: str, thread_id: str) -> Receipt:
    """Without its thread, a message cannot be found again."""
    remote_id = f"{thread_id}/{item_id}" if thread_id else ""
    return Receipt(remote_id, outputs={"thread_id": thread_id, "item_id": item_id})


def _accepted(client: Any, response: Any) -> Mapping[str, Any]:
    """The JSON of an upload's answer. Raises UploadRefused for anything but success."""
    client.last_response = response
    if response.status_code != 200:
        raise UploadRefused(response)
    answer: Mapping[str, Any] = response.json()
    if answer.get("status", "ok") != "ok":
        raise UploadRefused(response)
    return answer


def _uploaded(step: Step) -> tuple[str, int, int]:
    width, height = step.size
    known = step.inputs
    return (
        _input(step, "upload_id"),
        int(known.get("width") or width),
        int(known.get("height") or height),
    )


def _input(step: Step, name: str) -> str:
    value = step.inputs.get(name)
    if not value:
        raise Refused(f"{step.kind}: an earlier step gave no {name}; nothing was sent")
    return value


def _image(step: Step) -> bytes:
    if not step.image:
        raise Refused(f"{step.kind}: no image; nothing was sent")
    return step.image


def _alt_text(step: Step) -> dict[str, str]:
    return {"custom_accessibility_caption": step.alt_text} if step.alt_text else {}


def thread_id_of(thread: Mapping[str, Any]) -> str | None:
    return str(thread.get("thread_v2_id") or thread.get("thread_id") or "") or None


def _uuid(token: str, purpose: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tagecho:{purpose}:{token}"))


def _digits(token: str, purpose: str, count: int) -> str:
    digest = hashlib.sha256(f"{purpose}:{token}".encode()).digest()
    return str(int.from_bytes(digest) % 10**count).zfill(count)
