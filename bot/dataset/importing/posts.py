"""Sidecar JSON of gallery-dl and instaloader, and lines of our exports → posts with their files.

Field names are those of gallery-dl 1.3x (instagram extractor) and instaloader 4.x (`Post._asdict`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.captions import hashtags, mentions
from bot.core.events import Author, Media, MediaKind, Place, Post, UserTag
from bot.core.text import hashtag
from bot.dataset.export.imagefolder import as_written
from bot.dataset.importing.files import Unusable, inside, read
from bot.dataset.importing.values import (
    ID,
    LONGEST_TEXT,
    MOST_IMAGES,
    count_of,
    degrees,
    edges,
    first_of,
    index_of,
    list_of,
    map_of,
    moment_of,
    number_id,
    plain_id,
    post_url,
    text_of,
    unpacked,
    url_of,
)

INSTAGRAM = "instagram"
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp")
_PLATFORM = re.compile(r"[a-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The content of one sidecar: a post, or one image of it."""

    post: Post
    files: Mapping[int, Path]  # index of an image → its file
    hashes: Mapping[int, str] = field(default_factory=dict)  # what its bytes must be


def gallery_dl(path: Path, data: dict[str, Any]) -> Sidecar:
    """FILE.jpg.json or FILE.json beside FILE.jpg: one image of a post. Raises Unusable."""
    if "category" not in data or "post_id" not in data:
        raise Unusable("not a sidecar of gallery-dl or instaloader")
    if data["category"] != INSTAGRAM:
        raise Unusable(f"of {text_of(data['category'])[:40]!r}; only instagram can be imported")
    num = data.get("num")
    index = index_of(1 if num is None else num, 1) - 1
    image = _of_sidecar(path)
    kind = MediaKind.COVER if data.get("video_url") else MediaKind.PHOTO
    media = Media(index, url_of(data.get("display_url")), kind, 0, 0)
    users = map(map_of, list_of(data.get("tagged_users")))
    place = text_of(data.get("location_name")) or text_of(data.get("location_slug"))
    post = _post(
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
    files = _beside(base)
    videos = [one.get("is_video") for one in edges(node, "edge_sidecar_to_children") or [node]]
    spot = map_of(node.get("location"))
    users = (map_of(one.get("user")) for one in edges(node, "edge_media_to_tagged_user"))
    comments = map_of(node.get("edge_media_to_parent_comment")).get("count")
    comments = node.get("comments") if comments is None else comments
    likes = count_of(map_of(node.get("edge_media_preview_like")).get("count"))
    post = _post(
        INSTAGRAM,
        number_id(node.get("id") or phone.get("pk"), "id"),
        Author(
            INSTAGRAM,
            number_id(owner.get("id") or owner.get("pk"), "owner.id"),
            text_of(owner.get("username")),
            text_of(owner.get("full_name")),
        ),
        taken_at=moment_of(first_of(node, "taken_at_timestamp", "date")),
        url=post_url(node.get("shortcode") or node.get("code")),
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


def exported(root: Path, path: Path, data: dict[str, Any]) -> Sidecar:
    """A line of metadata.jsonl of `tagecho export --format imagefolder`. Raises Unusable."""
    platform = data.get("platform")
    if not isinstance(platform, str) or not _PLATFORM.fullmatch(platform):
        raise Unusable("no platform: export with the default fields")
    who = data.get("user_id") or data.get("author")
    if not isinstance(who, str) or not ID.fullmatch(who):
        raise Unusable("no author: export with the default fields")
    index = index_of(data.get("index"), 0)
    kind = MediaKind.COVER if data.get("kind") == MediaKind.COVER else MediaKind.PHOTO
    place = as_written(text_of(data.get("place_name")))
    spot = Place(
        place, "", *(degrees(unpacked(data.get(f"place_{way}"))) for way in ("lat", "lng"))
    )
    listed = list_of(unpacked(data.get("hashtags")))
    tags = [hashtag(tag) for tag in listed if isinstance(tag, str)]
    post = _post(
        platform,
        plain_id(data.get("post_id"), "post_id"),
        Author(platform, who, text_of(data.get("username")) or who),
        taken_at=moment_of(data.get("taken_at")),
        url=url_of(data.get("url")),
        caption=as_written(text_of(data.get("caption"))),
        tags=tags,
        media=(Media(index, "", kind),),
        place=spot if place else None,
        raw={"tagecho": {str(index): data}},
    )
    digest = data.get("sha256")
    hashes = {index: digest} if isinstance(digest, str) else {}
    return Sidecar(post, {index: inside(root, path.parent, data.get("file_name"))}, hashes)


def _hides(node: Mapping[str, Any], phone: Mapping[str, Any], flag: str) -> bool:
    """Whether the author hid a count; the number in the sidecar is not the right one then."""
    return bool(node.get(flag) or phone.get(flag))


def merged(parts: list[Sidecar]) -> Sidecar:
    """One post, joined from the parts of several sidecars."""
    first = parts[0].post
    raw: dict[str, dict[str, Any]] = {}
    media: dict[int, Media] = {}
    files: dict[int, Path] = {}
    hashes: dict[int, str] = {}
    tags: list[UserTag] = []
    for part in parts:
        for tool, some in part.post.raw.items():
            raw.setdefault(tool, {}).update(some)
        media.update({one.index: one for one in part.post.media})
        files.update(part.files)
        hashes.update(part.hashes)
        tags += part.post.usertags
    ordered = tuple(media[index] for index in sorted(media))
    post = Post(
        **{name: getattr(first, name) for name in Post.__dataclass_fields__}
        | {"media": ordered, "raw": raw, "usertags": tuple(tags)}
    )
    return Sidecar(post, files, hashes)


def _post(
    platform: str,
    post_id: str,
    author: Author,
    *,
    caption: str,
    tags: Iterable[str] = (),
    **rest: Any,
) -> Post:
    found = dict.fromkeys([*tags, *hashtags(caption)])
    return Post(
        platform=platform,
        post_id=post_id,
        author=author,
        caption=caption,
        hashtags=tuple(found),
        mentions=mentions(caption),
        **rest,
    )


def _tags(users: Iterable[Mapping[str, Any]], index: int) -> tuple[UserTag, ...]:
    return tuple(
        UserTag(text_of(user.get("id")), text_of(user.get("username")), media_index=index)
        for user in users
    )


def _of_sidecar(path: Path) -> Path | None:
    """The image that FILE.jpg.json or FILE.json describes; None where there is none."""
    base = path.with_suffix("")
    if base.suffix.lower() in IMAGES:
        return base
    return next((one for one in _named(base) if one.is_file()), None)


def _named(base: Path) -> Iterator[Path]:
    for suffix in IMAGES:
        yield from (base.with_name(base.name + suffix), base.with_name(base.name + suffix.upper()))


def _beside(base: Path) -> dict[int, Path]:
    """FILE.jpg is the only image, or the cover; FILE_1.jpg … are those of an album."""
    if one := next((path for path in _named(base) if path.is_file()), None):
        return {0: one}
    found: dict[int, Path] = {}
    for number in range(1, MOST_IMAGES + 1):
        names = _named(base.with_name(f"{base.name}_{number}"))
        here = next((path for path in names if path.is_file()), None)
        if here is not None:
            found[number - 1] = here
        elif number > 20 and not found:
            break
    return found


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
