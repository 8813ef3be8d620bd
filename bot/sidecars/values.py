"""Values from untrusted JSON: of the right type and of bounded size, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.sidecars.files import Unusable

MOST_IMAGES = 1000  # of one post
LONGEST_TEXT = 100_000
ID = re.compile(r"[\w.:-]{1,64}")
_MOST_COUNT = 2**63 - 1


def first_of(data: Mapping[str, Any], *keys: str) -> Any:
    """The first of these fields that says something; None where none does."""
    return next((data[key] for key in keys if data.get(key) is not None), None)


def edges(node: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The nodes of a GraphQL connection."""
    found = list_of(map_of(node.get(name)).get("edges"))
    return [map_of(map_of(edge).get("node")) for edge in found]


def url_of(value: Any) -> str:
    """An address that a page may link to, else empty."""
    text = text_of(value)
    return text if text.startswith(("https://", "http://")) and len(text) <= 4000 else ""


def number_id(value: Any, key: str) -> str:
    text = text_of(value).partition("_")[0]
    if not text.isascii() or not text.isdecimal() or len(text) > 64:
        raise Unusable(f"no {key}")
    return text


def plain_id(value: Any, key: str) -> str:
    text = text_of(value)
    if not ID.fullmatch(text):
        raise Unusable(f"no {key}")
    return text


def index_of(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_IMAGES:
        raise Unusable(f"no image with this number: {str(value)[:20] if least else 'index'}")
    return value


def moment_of(value: Any) -> datetime:
    """UTC from `2026-01-31 12:00:00`, an ISO time, or UNIX seconds."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise Unusable("no time")


def count_of(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, _MOST_COUNT)


def degrees(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -180 <= value <= 180 else None


def text_of(value: Any) -> str:
    """Text, and a number as text; anything else is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and value.bit_length() > 256:
        return ""  # Python refuses to print numbers of thousands of digits
    return str(value)[:LONGEST_TEXT]


def unpacked(value: Any) -> Any:
    """The value of JSON text of bounded size; anything else unchanged."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def map_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
