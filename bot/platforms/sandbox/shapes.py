"""The world as Instagram's private API words it: plain dictionaries, ready for JSON."""

from __future__ import annotations

from typing import Any

from bot.platforms.sandbox import ids
from bot.platforms.sandbox.net import Network
from bot.platforms.sandbox.things import (
    Comment,
    Message,
    News,
    Person,
    Picture,
    Post,
    Spot,
    Story,
    Tag,
    Thread,
    linked_code,
)

Json = dict[str, Any]
MEDIA_TYPE = {"photo": 1, "reel": 2, "album": 8}
_NEWS_TYPE = {"usertag": 102, "mention": 66, "comment_mention": 14}


def user_short(net: Network, person: Person) -> Json:
    return {
        "pk": person.pk,
        "pk_id": person.pk,
        "id": person.pk,
        "username": person.username,
        "full_name": person.full_name,
        "is_private": person.is_private,
        "is_verified": person.is_verified,
        "profile_pic_url": f"{net.media_base}/m/s/0/face_{person.pk}.jpg",
        "account_badges": [],
    }


def user_full(net: Network, person: Person) -> Json:
    return user_short(net, person) | {
        "biography": person.biography,
        "is_business": person.is_business,
        "media_count": net.world.count_of(user_pk=person.pk),
        "follower_count": person.followers,
        "following_count": person.following,
        "external_url": "",
        "bio_links": [],
        "account_type": 1,
        "hd_profile_pic_url_info": {
            "url": f"{net.media_base}/m/s/0/face_{person.pk}.jpg",
            "width": 150,
            "height": 150,
        },
    }


def user_web(net: Network, person: Person) -> Json:
    """A person as the web profile words it."""
    return user_short(net, person) | {
        "biography": person.biography,
        "edge_owner_to_timeline_media": {"count": net.world.count_of(user_pk=person.pk)},
        "edge_followed_by": {"count": person.followers},
        "edge_follow": {"count": person.following},
        "is_business_account": person.is_business,
        "business_email": None,
        "business_phone_number": None,
        "external_url": None,
    }


def images(net: Network, picture: Picture) -> Json:
    """Largest first; the first one is the original."""
    offered = (picture, net.gallery.small(picture))
    return {
        "candidates": [
            {"width": one.width, "height": one.height, "url": net.image_url(one)}
            for one in offered
            if one is not None
        ]
    }


def usertags(net: Network, tags: tuple[Tag, ...]) -> Json:
    return {
        "in": [
            {"user": user_short(net, net.world.user(t.user_pk)), "position": [t.x, t.y]}
            for t in tags
        ]
    }


def place(spot: Spot) -> Json:
    return {
        "pk": spot.pk,
        "name": spot.name,
        "short_name": spot.name,
        "lat": spot.lat,
        "lng": spot.lng,
        "address": "",
        "city": "",
        "external_source": "facebook_places",
        "facebook_places_id": spot.pk,
    }


def media(net: Network, post: Post) -> Json:
    author = user_short(net, net.world.user(post.user_pk))
    first = post.pictures[0]
    shape: Json = {
        "pk": str(post.pk),
        "id": post.media_id,
        "code": post.code,
        "taken_at": int(post.at),
        "device_timestamp": int(post.at * 1_000_000),
        "media_type": MEDIA_TYPE[post.kind],
        "user": author,
        "caption": caption(post, author),
        "caption_is_edited": post.edited,
        "like_count": post.likes,
        "comment_count": len(post.comments),
        "has_liked": False,
        "accessibility_caption": post.alt_text or None,
        "original_width": first.width,
        "original_height": first.height,
    }
    if post.place is not None:
        shape |= {"location": place(post.place), "lat": post.place.lat, "lng": post.place.lng}
    if post.pinned:
        shape["timeline_pinned_user_ids"] = [int(post.user_pk)]
    if post.kind == "album":
        shape["carousel_media_count"] = len(post.pictures)
        shape["carousel_media"] = [
            resource(net, post, index, picture) for index, picture in enumerate(post.pictures)
        ]
        return shape
    shape["image_versions2"] = images(net, first)
    if first.tags:
        shape["usertags"] = usertags(net, first.tags)
    if post.kind == "reel":
        video = {"type": 101, "width": first.width, "height": first.height}
        shape |= {
            "product_type": "clips",
            "video_duration": 7.5,
            "play_count": post.likes * 9,
            "video_versions": [video | {"url": f"{net.media_base}/m/v/{post.pk}.mp4"}],
        }
    return shape


def caption(post: Post, author: Json) -> Json | None:
    if not post.caption:
        return None
    return {
        "pk": str(post.pk + 1),
        "text": post.caption,
        "user": author,
        "user_id": post.user_pk,
        "created_at": int(post.at),
        "created_at_utc": int(post.at),
        "content_type": "comment",
        "status": "Active",
    }


def resource(net: Network, post: Post, index: int, picture: Picture) -> Json:
    pk = post.pk + 1 + index
    shape: Json = {
        "pk": str(pk),
        "id": f"{pk}_{post.user_pk}",
        "media_type": 1,
        "image_versions2": images(net, picture),
        "original_width": picture.width,
        "original_height": picture.height,
        "carousel_parent_id": post.media_id,
    }
    if picture.tags:
        shape["usertags"] = usertags(net, picture.tags)
    return shape


def comment(net: Network, made: Comment) -> Json:
    shape: Json = {
        "pk": made.pk,
        "user_id": made.user_pk,
        "user": user_short(net, net.world.user(made.user_pk)),
        "text": made.text,
        "type": 0,
        "created_at": int(made.at),
        "created_at_utc": int(made.at),
        "content_type": "comment",
        "status": "Active",
        "comment_like_count": 0,
        "has_liked_comment": False,
        "child_comment_count": 0,
    }
    if made.reply_to:
        shape |= {"replied_to_comment_id": made.reply_to, "parent_comment_id": made.reply_to}
    return shape


def story(net: Network, made: Story) -> Json:
    author = user_short(net, net.world.user(made.user_pk))
    sticker = {"z": 0, "width": 0.4, "height": 0.1, "rotation": 0.0}
    shape: Json = {
        "pk": str(made.pk),
        "id": f"{made.pk}_{made.user_pk}",
        "code": ids.code(made.pk),
        "taken_at": int(made.at),
        "expiring_at": int(made.at) + 24 * 3600,
        "media_type": 1,
        "product_type": "story",
        "user": author,
        "image_versions2": images(net, made.picture),
        "original_width": made.picture.width,
        "original_height": made.picture.height,
        "caption": {"text": made.caption} if made.caption else None,
        "reel_mentions": [
            sticker | {"x": tag.x, "y": tag.y, "user": user_short(net, net.world.user(tag.user_pk))}
            for tag in made.mentions
        ],
    }
    if made.link:
        link = {"url": made.link, "display_url": made.link, "link_type": "web"}
        shape["story_link_stickers"] = [
            sticker | {"x": 0.5, "y": 0.5, "id": f"link_{made.pk}", "story_link": link}
        ]
    if made.reshared_pk:
        shape["story_feed_media"] = [
            sticker | {"x": 0.5, "y": 0.5, "media_id": made.reshared_pk, "product_type": "feed"}
        ]
    return shape


def message(net: Network, viewer: Person, made: Message) -> Json:
    shape: Json = {
        "item_id": made.pk,
        "user_id": made.user_pk,
        "timestamp": int(made.at * 1_000_000),
        "item_type": "media" if made.kind == "photo" else made.kind,
        "client_context": made.context,
        "is_sent_by_viewer": made.user_pk == viewer.pk,
        "is_shh_mode": False,
    }
    if made.kind == "text":
        shape["text"] = made.text
    elif made.kind == "link":
        code = linked_code(made.text)
        url = f"https://www.instagram.com/p/{code}/" if code else made.text
        shape["link"] = {"text": made.text, "link_context": {"link_url": url}}
    elif made.picture is not None:
        shape["media"] = {
            "id": made.pk,
            "media_type": 1,
            "image_versions2": images(net, made.picture),
            "original_width": made.picture.width,
            "original_height": made.picture.height,
        }
    return shape


def thread(net: Network, viewer: Person, shown: Thread, limit: int) -> Json:
    others = [net.world.user(pk) for pk in shown.members if pk != viewer.pk]
    newest = shown.messages[::-1][:limit]
    return {
        "thread_id": shown.thread_id,
        "thread_v2_id": shown.pk,
        "users": [user_short(net, person) for person in others],
        "left_users": [],
        "admin_user_ids": [],
        "items": [message(net, viewer, made) for made in newest],
        "last_activity_at": int((newest[0].at if newest else net.world.clock()) * 1_000_000),
        "muted": False,
        "is_pin": False,
        "named": False,
        "canonical": True,
        "pending": viewer.pk in shown.pending_for,
        "archived": False,
        "thread_type": "private",
        "thread_title": ", ".join(person.username for person in others),
        "folder": 0,
        "vc_muted": False,
        "is_group": len(others) > 1,
        "mentions_muted": False,
        "approval_required_for_new_members": False,
        "input_mode": 0,
        "business_thread_folder": 0,
        "read_state": 0,
        "viewer_id": viewer.pk,
        "last_seen_at": {},
        "has_older": len(shown.messages) > limit,
        "oldest_cursor": newest[-1].pk if len(shown.messages) > limit and newest else "",
    }


def news(net: Network, line: News) -> Json:
    actor, post = net.world.user(line.actor_pk), net.world.posts[line.post_pk]
    return {
        "type": 1,
        "story_type": _NEWS_TYPE[line.kind],
        "notif_name": line.kind,
        "pk": line.pk,
        "args": {
            "text": f"{actor.username} {line.text}",
            "rich_text": f"{{{actor.username}|000000|1|user?id={actor.pk}}} {line.text}",
            "profile_id": int(actor.pk),
            "profile_name": actor.username,
            "profile_image": user_short(net, actor)["profile_pic_url"],
            "media": [{"id": post.media_id, "image": net.image_url(post.pictures[0])}],
            "destination": f"media?id={post.media_id}",
            "timestamp": line.at,
        },
        "counts": {},
    }
