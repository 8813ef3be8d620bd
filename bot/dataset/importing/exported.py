"""Lines of our own exports → posts with their files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bot.core.events import Author, Media, MediaKind, Place
from bot.core.normal_form import hashtag
from bot.sidecars.files import Unusable, inside
from bot.sidecars.sidecar import Sidecar, post_of
from bot.sidecars.values import (
    ID,
    degrees,
    index_of,
    list_of,
    moment_of,
    plain_id,
    text_of,
    unpacked,
    url_of,
)

_PLATFORM = re.compile(r"[a-z0-9_.-]{1,40}")


def exported(root: Path, path: Path, data: dict[str, Any]) -> Sidecar:
    """A line of metadata.jsonl, or of metadata.lines, of `tagecho export --format imagefolder`.

    Raises Unusable.
    """
    platform = data.get("platform")
    if not isinstance(platform, str) or not _PLATFORM.fullmatch(platform):
        raise Unusable("no platform: export with the default fields")
    who = data.get("user_id") or data.get("author")
    if not isinstance(who, str) or not ID.fullmatch(who):
        raise Unusable("no author: export with the default fields")
    index = index_of(data.get("index"), 0)
    kind = MediaKind.COVER if data.get("kind") == MediaKind.COVER else MediaKind.PHOTO
    place = text_of(data.get("place_name"))
    spot = Place(
        place, "", *(degrees(unpacked(data.get(f"place_{way}"))) for way in ("lat", "lng"))
    )
    listed = list_of(unpacked(data.get("hashtags")))
    tags = [hashtag(tag) for tag in listed if isinstance(tag, str)]
    post = post_of(
        platform,
        plain_id(data.get("post_id"), "post_id"),
        Author(platform, who, text_of(data.get("username")) or who),
        taken_at=moment_of(data.get("taken_at")),
        url=url_of(data.get("url")),
        caption=text_of(data.get("caption")),
        tags=tags,
        media=(Media(index, "", kind),),
        place=spot if place else None,
        raw={"tagecho": {str(index): data}},
    )
    digest = data.get("sha256")
    hashes = {index: digest} if isinstance(digest, str) else {}
    return Sidecar(post, {index: inside(root, path.parent, data.get("file_name"))}, hashes)
