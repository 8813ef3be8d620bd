"""Text a database can hold, whatever a network sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def storable(value: Any) -> Any:
    """The same value without NUL and lone surrogates, which PostgreSQL and UTF-8 refuse.

    Walks mappings and sequences; what JSON cannot hold becomes its `str`.
    """
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, Mapping):
        return {_storable_text(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [storable(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _storable_text(str(value))


def _storable_text(text: str) -> str:
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
