"""Sidecar JSON of the tools that download from Instagram → posts with their files.

Field names are those of gallery-dl 1.3x (instagram extractor) and instaloader 4.x (`Post._asdict`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bot.core.events import Author, Media, MediaKind, Place, UserTag
from bot.sidecars.files import Unusable, read
from bot.sidecars.sidecar import Sidecar, Tool, image_of, images_beside, post_of
from bot.sidecars.values import (
    LONGEST_TEXT,
    count_of,
    degrees,
    edges,
    first_of,
    index_of,
    list_of,
    map_of,
    moment_of,
    number_id,
    text_of,
    url_of,
)

INSTAGRAM = "instagram"


def gallery_dl(path: Path, data: dict[str, Any]) -> Sidecar:
    """FILE.jpg.json or FILE.json beside FILE.jpg: one image of a post. Raises Unusable."""
    num = data.get("num")
    index = index_of(1 if num is None else num, 1) - 1
    image = image_of(path)
    kind = MediaKind.COVER if data.get("video_url") else MediaKind.PHOTO
    media = Media(index, url_of(data.get("display_url")), kind, 0, 0)
    users = map(map_of, list_of(data.get("tagged_users")))
    place = text_of(data.get("location_name")) or text_of(data.get("location_slug"))
    post = post_of(
        INSTAGRAM,
        number_id(data.get("post_id"), "post_id"),
        Author(
            INSTAGRAM,
            number_id(data.get("owner_id"), "owner_id"),
            text_of(data.get("username")),
            text_of(data.get("fullname")),
        ),
        taken_at=moment_of(first_of(data, "post_date", "date")),
        url=url_of(data.get("post_url")),
        caption=text_of(data.get("description")),
        media=(media,) if image else (),
        usertags=_tags(users, index),
        place=Place(place, text_of(data.get("location_id"))) if place else None,
        like_count=count_of(data.get("likes")),
        pinned=bool(data.get("pinned")),
        raw={"gallery-dl": {str(index): data}},
    )
    return Sidecar(post, {index: image} if image else {})


def instaloader(path: Path, data: dict[str, Any]) -> Sidecar | None:
    """FILE.json or FILE.json.xz beside FILE.jpg, or FILE_1.jpg … None if it is not a post.

    Raises Unusable.
    """
    if map_of(data.get("instaloader")).get("node_type") != "Post":
        return None
    node = map_of(data.get("node"))
    phone = map_of(node.get("iphone_struct"))
    owner = map_of(node.get("owner")) or map_of(phone.get("user"))
    base = path.with_name(path.name.removesuffix(".xz").removesuffix(".json"))
    files = images_beside(base)
    videos = [one.get("is_video") for one in edges(node, "edge_sidecar_to_children") or [node]]
    spot = map_of(node.get("location"))
    users = (map_of(one.get("user")) for one in edges(node, "edge_media_to_tagged_user"))
    comments = map_of(node.get("edge_media_to_parent_comment")).get("count")
    comments = node.get("comments") if comments is None else comments
    likes = count_of(map_of(node.get("edge_media_preview_like")).get("count"))
    post = post_of(
        INSTAGRAM,
        number_id(node.get("id") or phone.get("pk"), "id"),
        Author(
            INSTAGRAM,
            number_id(owner.get("id") or owner.get("pk"), "owner.id"),
            text_of(owner.get("username")),
            text_of(owner.get("full_name")),
        ),
        taken_at=moment_of(first_of(node, "taken_at_timestamp", "date")),
        url=_post_url(node.get("shortcode") or node.get("code")),
        caption=_caption(node, base),
        media=tuple(
            Media(
                index,
                url_of(node.get("display_url")) if index == 0 else "",
                MediaKind.COVER if index < len(videos) and videos[index] else MediaKind.PHOTO,
            )
            for index in files
        ),
        usertags=_tags(users, 0),
        place=_place(spot),
        like_count=None if _hides(node, phone, "like_and_view_counts_disabled") else likes,
        comment_count=None if _hides(node, phone, "comments_disabled") else count_of(comments),
        pinned=bool(node.get("pinned_for_users")),
        raw={"instaloader": data},
    )
    return Sidecar(post, files)


def _hides(node: Mapping[str, Any], phone: Mapping[str, Any], flag: str) -> bool:
    """Whether the author hid a count; the number in the sidecar is not the right one then."""
    return bool(node.get(flag) or phone.get(flag))


def _post_url(code: Any) -> str:
    text = text_of(code)
    return f"https://www.instagram.com/p/{text}/" if re.fullmatch(r"[\w-]{1,60}", text) else ""


def _tags(users: Iterable[Mapping[str, Any]], index: int) -> tuple[UserTag, ...]:
    return tuple(
        UserTag(text_of(user.get("id")), text_of(user.get("username")), media_index=index)
        for user in users
    )


def _caption(node: Mapping[str, Any], base: Path) -> str:
    for one in edges(node, "edge_media_to_caption"):
        return text_of(one.get("text"))
    caption = node.get("caption")
    text = text_of(map_of(caption).get("text")) if isinstance(caption, dict) else text_of(caption)
    if text:
        return text
    try:
        return read(base.with_name(base.name + ".txt"), LONGEST_TEXT).decode("utf-8-sig", "replace")
    except Unusable:
        return ""


def _place(spot: Mapping[str, Any]) -> Place | None:
    name = text_of(spot.get("name"))
    if not name:
        return None
    return Place(name, text_of(spot.get("id")), degrees(spot.get("lat")), degrees(spot.get("lng")))


TOOLS = (
    Tool("instaloader", lambda data: "instaloader" in data, instaloader),
    Tool(
        "gallery-dl",
        lambda data: data.get("category") == INSTAGRAM and "post_id" in data,
        gallery_dl,
    ),
)
