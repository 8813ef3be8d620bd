"""What a server says that it takes, and otherwise what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.platforms.mastodon.text_limits import USUAL


@dataclass(frozen=True, slots=True)
class ServerLimits:
    domain: str  # what names of its people end with
    characters: int = USUAL
    description: int = 1500  # characters of an alt text
    image_bytes: int = 16_777_216
    image_pixels: int = 33_177_600
    types: tuple[str, ...] = ()  # of files; empty: it does not say


def limits_of(instance: Mapping[str, Any], server: str) -> ServerLimits:
    """Of `/api/v2/instance`, or of version 1, where addresses and keys are others."""
    said = instance.get("configuration") or {}
    statuses, media = said.get("statuses") or {}, said.get("media_attachments") or {}
    usual = ServerLimits(str(instance.get("domain") or instance.get("uri") or server).lower())
    most = statuses.get("max_characters") or instance.get("max_toot_chars")
    return ServerLimits(
        domain=usual.domain.removeprefix("https://").strip("/"),
        characters=_number(most, usual.characters),
        description=_number(media.get("description_limit"), usual.description),
        image_bytes=_number(media.get("image_size_limit"), usual.image_bytes),
        image_pixels=_number(media.get("image_matrix_limit"), usual.image_pixels),
        types=tuple(map(str, media.get("supported_mime_types") or ())),
    )


def _number(value: object, usual: int) -> int:
    return value if isinstance(value, int) and value > 0 else usual
