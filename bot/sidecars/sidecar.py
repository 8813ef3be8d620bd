"""What one sidecar says: a post, or one image of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.events import Author, Media, Post, UserTag
from bot.core.hashtags import hashtags
from bot.core.mentions import mentions
from bot.sidecars.values import MOST_IMAGES

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The content of one sidecar: a post, or one image of it."""

    post: Post
    files: Mapping[int, Path]  # index of an image → its file
    hashes: Mapping[int, str] = field(default_factory=dict)  # what its bytes must be


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that downloads from a platform and writes a sidecar beside each image."""

    name: str
    wrote: Callable[[Mapping[str, Any]], bool]  # whether a sidecar of this content is its
    read: Callable[[Path, dict[str, Any]], Sidecar | None]  # None: no post; raises Unusable


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


def post_of(
    platform: str,
    post_id: str,
    author: Author,
    *,
    caption: str,
    tags: Iterable[str] = (),
    **rest: Any,
) -> Post:
    """A post of the dataset, with what its caption carries."""
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


def image_of(path: Path) -> Path | None:
    """The image that FILE.jpg.json or FILE.json describes; None where there is none."""
    base = path.with_suffix("")
    if base.suffix.lower() in IMAGES:
        return base
    return next((one for one in named(base) if one.is_file()), None)


def images_beside(base: Path) -> dict[int, Path]:
    """FILE.jpg is the only image, or the cover; FILE_1.jpg … are those of an album."""
    if one := next((path for path in named(base) if path.is_file()), None):
        return {0: one}
    found: dict[int, Path] = {}
    for number in range(1, MOST_IMAGES + 1):
        names = named(base.with_name(f"{base.name}_{number}"))
        here = next((path for path in names if path.is_file()), None)
        if here is not None:
            found[number - 1] = here
        elif number > 20 and not found:
            break
    return found


def named(base: Path) -> Iterator[Path]:
    """The image files that this name may mean."""
    for suffix in IMAGES:
        yield from (base.with_name(base.name + suffix), base.with_name(base.name + suffix.upper()))
