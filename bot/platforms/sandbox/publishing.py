"""Everything that changes the world in public: uploads, posts, stories, comments, deletions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from bot.platforms.sandbox import ids, shapes
from bot.platforms.sandbox.net import Answer, Call, Network, Refusal, Routes, Upload, fail, ok
from bot.platforms.sandbox.reading import found_post
from bot.platforms.sandbox.things import Comment, Details, Post, Spot, Story, Tag, linked_code

routes = Routes()
T = TypeVar("T")


def once(net: Network, call: Call, kind: str, token: str, apply: Callable[[], T]) -> T:
    """Apply a write. With `dedupe_tokens`, a token seen before gives back what it made."""
    key = (call.me.pk, kind, token)
    with net.world.lock:
        if net.dedupe_tokens and token and key in net.applied:
            made: T = net.applied[key]
            return made
        made = apply()
        net.applied[key] = made
        return made


@routes("POST", r"/rupload_igphoto/(?P<name>[\w-]+)", write="upload")
def rupload(net: Network, call: Call, name: str) -> Answer:
    try:
        upload_id = str(json.loads(call.headers["x-instagram-rupload-params"])["upload_id"])
        length = int(call.headers["x-entity-length"])
    except (KeyError, ValueError):
        return fail(400, "Invalid upload parameters")
    if length != len(call.body):
        return fail(400, "Partial upload")
    keep(net, call, "upload", upload_id)
    return ok(upload_id=upload_id, xsharing_nonces={})


def keep(net: Network, call: Call, kind: str, upload_id: str) -> None:
    """Store uploaded bytes and write them into the journal."""
    try:
        picture = net.gallery.keep(upload_id, call.body)
    except (OSError, ValueError):
        raise Refusal(fail(400, "media_needs_reupload", error_title="bad image input")) from None
    sha256 = hashlib.sha256(call.body).hexdigest()
    with net.world.lock:
        net.uploads[upload_id] = Upload(picture, sha256)
    net.journal.write(
        kind,
        actor=call.me.username,
        token=upload_id,
        ids={"upload_id": upload_id, "sha256": sha256, "bytes": len(call.body)},
    )


def _uploaded(net: Network, call: Call) -> Upload:
    upload = net.uploads.get(call.text("upload_id"))
    if upload is None:
        raise Refusal(fail(400, "media_needs_reupload", error_title="upload_id not found"))
    return upload


@routes("POST", r"/api/v1/media/configure/", write="post")
def configure(net: Network, call: Call) -> Answer:
    upload_id, caption = call.text("upload_id"), call.text("caption")
    upload = _uploaded(net, call)
    tags = tuple(
        Tag(str(tag["user_id"]), float(tag["position"][0]), float(tag["position"][1]))
        for tag in _list(call, "usertags", "in")
        if str(tag["user_id"]) in net.world.people
    )
    picture = replace(upload.picture, tags=tags)

    def apply() -> Post:
        post = net.world.add_post(
            call.me.pk,
            caption,
            pictures=[picture],
            details=Details(place=_spot(call), alt_text=_alt_text(call), upload_id=upload_id),
        )
        net.journal.write(
            "post",
            actor=call.me.username,
            target=",".join(net.world.user(tag.user_pk).username for tag in tags),
            source=linked_code(caption),
            token=upload_id,
            ids={
                "pk": str(post.pk),
                "code": post.code,
                "url": post.url,
                "upload_id": upload_id,
                "sha256": upload.sha256,
            },
        )
        return post

    post = once(net, call, "post", upload_id, apply)
    return ok(media=shapes.media(net, post), upload_id=upload_id)


@routes("POST", r"/api/v1/media/validate_reel_url/")
def validate_link(net: Network, call: Call) -> Answer:
    return ok(is_valid=True)


@routes("POST", r"/api/v1/media/configure_to_story/", write="story")
def configure_to_story(net: Network, call: Call) -> Answer:
    upload_id, upload, caption = call.text("upload_id"), _uploaded(net, call), call.text("caption")
    stickers = _list(call, "tap_models")
    mentions = tuple(
        Tag(str(s["user_id"]), float(s.get("x") or 0.5), float(s.get("y") or 0.5))
        for s in stickers
        if s.get("type") == "mention" and str(s.get("user_id")) in net.world.people
    )
    link = next((str(s["url"]) for s in stickers if s.get("type") == "story_link"), "")
    reshared = next((str(s["media_id"]) for s in stickers if s.get("type") == "feed_media"), "")

    def apply() -> Story:
        story = net.world.add_story(
            call.me.pk,
            upload.picture,
            caption=caption,
            mentions=mentions,
            link=link,
            reshared_pk=reshared.split("_")[0],
            upload_id=upload_id,
        )
        shared = ids.code(int(story.reshared_pk)) if story.reshared_pk.isdigit() else ""
        net.journal.write(
            "story",
            actor=call.me.username,
            target=",".join(net.world.user(tag.user_pk).username for tag in mentions),
            source=linked_code(link) or shared or linked_code(caption),
            token=upload_id,
            ids={"pk": str(story.pk), "upload_id": upload_id, "sha256": upload.sha256},
        )
        return story

    story = once(net, call, "story", upload_id, apply)
    return ok(media=shapes.story(net, story), upload_id=upload_id)


@routes("POST", r"/api/v1/media/(?P<ref>[\w-]+)/comment/", write="comment")
def comment(net: Network, call: Call, ref: str) -> Answer:
    post, text = found_post(net, ref), call.text("comment_text")
    token = call.text("idempotence_token")
    if not text.strip():
        return fail(400, "Comment text is required")

    def apply() -> Comment:
        reply_to = call.text("replied_to_comment_id")
        made = net.world.comment(post.pk, call.me.pk, text, token=token, reply_to=reply_to)
        net.journal.write(
            "comment",
            actor=call.me.username,
            target=net.world.user(post.user_pk).username,
            source=post.code,
            token=token,
            ids={"pk": made.pk, "media_pk": str(post.pk), "text": text},
        )
        return made

    made = once(net, call, f"comment {post.pk}", token, apply)
    return ok(comment=shapes.comment(net, made))


@routes("POST", r"/api/v1/media/(?P<ref>[\w-]+)/delete/", write="delete")
def delete(net: Network, call: Call, ref: str) -> Answer:
    pk = ref.partition("_")[0]
    with net.world.lock:
        story = next(
            (s for s in net.world.stories[call.me.pk] if str(s.pk) == pk and not s.deleted), None
        )
        if story is not None:
            story.deleted = True
        else:
            post = found_post(net, ref)
            if post.user_pk != call.me.pk:
                return fail(403, "You cannot delete this media")
            net.world.delete(post.pk)
    net.journal.write("delete", actor=call.me.username, ids={"pk": pk})
    return ok(did_delete=True)


@routes("POST", r"/api/v1/media/(?P<ref>[\w-]+)/comment/bulk_delete/", write="delete")
def delete_comments(net: Network, call: Call, ref: str) -> Answer:
    """Own comments, and any under an own post. Ids that are not there are passed over."""
    post, wanted = found_post(net, ref), set(call.text("comment_ids_to_delete").split(","))
    with net.world.lock:
        gone = [comment for comment in post.comments if comment.pk in wanted]
        if any(call.me.pk not in (comment.user_pk, post.user_pk) for comment in gone):
            return fail(403, "You cannot delete this comment")
        for comment in gone:
            post.comments.remove(comment)
            net.journal.write(
                "delete",
                actor=call.me.username,
                source=post.code,
                ids={"pk": comment.pk, "media_pk": str(post.pk)},
            )
    return ok()


@routes("POST", r"/api/v1/media/(?P<ref>[\w-]+)/edit_media/", write="edit")
def edit(net: Network, call: Call, ref: str) -> Answer:
    post = found_post(net, ref)
    if post.user_pk != call.me.pk:
        return fail(403, "You cannot edit this media")
    net.world.edit(post.pk, call.text("caption_text"))
    net.journal.write("edit", actor=call.me.username, ids={"pk": str(post.pk)})
    return ok(media=shapes.media(net, post))


def _list(call: Call, name: str, inner: str = "") -> list[dict[str, Any]]:
    """A list sent as JSON inside a field."""
    text = call.text(name)
    if not text:
        return []
    try:
        value = json.loads(text)
        items = value[inner] if inner else value
        return [dict(item) for item in items]
    except (ValueError, TypeError, KeyError):
        raise Refusal(fail(400, f"Invalid {name}")) from None


def _alt_text(call: Call) -> str:
    """As the app sends it: `custom_accessibility_caption`, plain or as JSON."""
    text = call.text("custom_accessibility_caption")
    if not text.startswith("{"):
        return text
    loaded: dict[str, Any] = json.loads(text)
    return str(loaded.get("0", loaded.get("text", "")))


def _spot(call: Call) -> Spot | None:
    text = call.text("location")
    if not text or text == "{}":
        return None
    place: dict[str, Any] = json.loads(text)
    return Spot(
        int(place.get("facebook_places_id") or place.get("pk") or 0),
        str(place.get("name", "")),
        float(place.get("lat") or 0),
        float(place.get("lng") or 0),
    )
