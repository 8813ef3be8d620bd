"""Direct messages: threads, text, links and photos."""

from __future__ import annotations

import json
from typing import Any

from bot.platforms.sandbox import shapes
from bot.platforms.sandbox.net import Answer, Call, Network, Refusal, Routes, Upload, fail, ok
from bot.platforms.sandbox.publishing import keep, once
from bot.platforms.sandbox.reading import found_user
from bot.platforms.sandbox.things import Content, Message, MessageKind, Thread, linked_code

routes = Routes()
_PREFIX = r"/api/v1/direct_v2/"
_MESSAGES = 20


@routes("GET", _PREFIX + r"(?P<box>inbox|pending_inbox)/")
def inbox(net: Network, call: Call, box: str) -> Answer:
    pending = box == "pending_inbox"
    with net.world.lock:
        mine = [
            thread
            for thread in net.world.threads
            if call.me.pk in thread.members
            and thread.messages
            and (call.me.pk in thread.pending_for) == pending
        ]
        mine.sort(key=lambda thread: thread.messages[-1].at, reverse=True)
        cursor = call.query.get("cursor", "")
        start = int(cursor) if cursor.isdigit() else 0
        page = mine[start : start + 20]
        shown = [shapes.thread(net, call.me, thread, _MESSAGES) for thread in page]
    more = len(mine) > start + 20
    box_shape: dict[str, Any] = {"threads": shown, "has_older": more, "unseen_count": 0}
    if more:
        box_shape["oldest_cursor"] = str(start + 20)
    return ok(inbox=box_shape, viewer=shapes.user_short(net, call.me), seq_id=1)


@routes("GET", _PREFIX + r"threads/get_by_participants/")
def by_participants(net: Network, call: Call) -> Answer:
    people = [found_user(net, str(pk)) for pk in _ids(call.query.get("recipient_users", ""))]
    thread = net.world.thread([call.me.pk, *(person.pk for person in people)])
    users = [shapes.user_short(net, person) for person in people]
    if thread is None:
        return ok(users=users)
    return ok(users=users, thread=shapes.thread(net, call.me, thread, _MESSAGES))


@routes("GET", _PREFIX + r"threads/(?P<ref>\d+)/")
def one_thread(net: Network, call: Call, ref: str) -> Answer:
    """Newest first; `cursor` is the last message shown."""
    thread = _mine(net, call, ref)
    with net.world.lock:
        newest = thread.messages[::-1]
        cursor = call.query.get("cursor", "")
        start = next((at + 1 for at, m in enumerate(newest) if m.pk == cursor), 0)
        page = newest[start : start + _MESSAGES]
        shape = shapes.thread(net, call.me, thread, 0)
    more = len(newest) > start + len(page)
    shape |= {
        "items": [shapes.message(net, call.me, made) for made in page],
        "has_older": more,
        "oldest_cursor": page[-1].pk if more else "",
    }
    return ok(thread=shape)


@routes("POST", _PREFIX + r"threads/(?P<ref>\d+)/approve/")
def approve(net: Network, call: Call, ref: str) -> Answer:
    _mine(net, call, ref).pending_for.discard(call.me.pk)
    return ok()


@routes("POST", _PREFIX + r"threads/(?P<ref>\d+)/items/(?P<item>\d+)/delete/", write="delete")
def unsend(net: Network, call: Call, ref: str, item: str) -> Answer:
    thread = _mine(net, call, ref)
    with net.world.lock:
        message = next((made for made in thread.messages if made.pk == item), None)
        if message is None:
            return fail(404, "Message not found")
        if message.user_pk != call.me.pk:
            return fail(403, "You cannot unsend this message")
        thread.messages.remove(message)
    net.journal.write("delete", actor=call.me.username, ids={"pk": item, "thread_v2_id": thread.pk})
    return ok()


@routes("POST", _PREFIX + r"threads/broadcast/(?P<kind>text|link)/", write="dm_text")
def say(net: Network, call: Call, kind: MessageKind) -> Answer:
    text = call.text("link_text" if kind == "link" else "text")
    if not text:
        return fail(400, "Message text is required")
    return _send(net, call, "dm_text", kind, text=text)


@routes("POST", r"/messenger_image/(?P<name>[\w-]+)", write="dm_upload")
def upload(net: Network, call: Call, name: str) -> Answer:
    """rupload.facebook.com: the answer's media_id is what a photo message attaches."""
    if call.headers.get("x-entity-length") != str(len(call.body)):
        return fail(400, "Partial upload")
    media_id = str(net.world.next_pk())
    keep(net, call, "dm_upload", media_id)
    return ok(media_id=int(media_id))


@routes("POST", _PREFIX + r"threads/broadcast/photo_attachment/", write="dm_photo")
def send_photo(net: Network, call: Call) -> Answer:
    upload = net.uploads.get(call.text("attachment_fbid"))
    if upload is None:
        return fail(400, "Invalid attachment")
    return _send(net, call, "dm_photo", "photo", upload=upload)


def _send(
    net: Network,
    call: Call,
    write: str,
    kind: MessageKind,
    text: str = "",
    upload: Upload | None = None,
) -> Answer:
    thread, token = _addressed(net, call), call.text("client_context")
    others = [net.world.user(pk) for pk in thread.members if pk != call.me.pk]
    if any(not person.takes_dms for person in others):
        return fail(400, "This account doesn't allow new message requests from everyone.")

    def apply() -> Message:
        shown: dict[str, str] = {"text": text}
        source, picture, sha256 = linked_code(text), None, ""
        if upload is not None:
            picture, sha256 = upload.picture, upload.sha256
            source, shown = _meant(thread, call.me.pk, sha256), {"sha256": sha256}
        content = Content(kind, text, picture, token, source, sha256)
        made = net.world.say(thread, call.me.pk, content)
        net.journal.write(
            write,
            actor=call.me.username,
            target=",".join(person.username for person in others),
            source=source,
            token=token,
            ids={"item_id": made.pk, "thread_id": thread.thread_id, "thread_v2_id": thread.pk}
            | shown,
        )
        return made

    made = once(net, call, f"{write} {thread.pk}", token, apply)
    payload = {
        "item_id": made.pk,
        "client_context": token,
        "timestamp": str(int(made.at * 1_000_000)),
        "thread_id": thread.thread_id,
        "thread_v2_id": thread.pk,
        "user_id": call.me.pk,
        "item_type": "media" if kind == "photo" else kind,
        "canonical": True,
    }
    return ok(action="item_ack", status_code="200", payload=payload)


def _addressed(net: Network, call: Call) -> Thread:
    """The thread named, or the one with the people named, opened when there is none yet."""
    if refs := _ids(call.text("thread_ids")):
        return _mine(net, call, str(refs[0]))
    people = [found_user(net, str(pk)) for pk in _ids(call.text("recipient_users"))]
    if not people:
        raise Refusal(fail(400, "No recipients"))
    if any(not person.takes_dms for person in people):
        message = "This account doesn't allow new message requests from everyone."
        raise Refusal(fail(400, message))
    thread = net.world.thread([call.me.pk, *(p.pk for p in people)], create=True)
    assert thread is not None  # noqa: S101 - create=True always gives one
    return thread


def _mine(net: Network, call: Call, ref: str) -> Thread:
    try:
        thread = net.world.thread_by_id(ref)
    except KeyError:
        raise Refusal(fail(404, "Thread does not exist")) from None
    if call.me.pk not in thread.members:
        raise Refusal(fail(403, "Not a member of this thread"))
    return thread


def _meant(thread: Thread, user_pk: str, sha256: str) -> str:
    """The post a photo refers to, as far as its thread shows.

    That of the same photo sent before, or the last post this person linked with no photo since.
    """
    answered = False
    for message in reversed(thread.messages):
        if message.user_pk != user_pk:
            continue
        if message.kind == "photo":
            if message.sha256 == sha256:
                return message.source
            answered = True
        elif message.source and not answered:
            return message.source
    return ""


def _ids(text: str) -> list[int]:
    """Ids out of `[1,2]` or `[[1,2]]`, as the app sends them."""
    try:
        value = json.loads(text or "[]")
        flat = value[0] if value and isinstance(value[0], list) else value
        return [int(item) for item in flat]
    except (ValueError, TypeError):
        raise Refusal(fail(400, "Invalid recipients")) from None
