"""Overlays: an image and the mask of its object become a picture worth replying with.

Every style is deterministic in (image, mask, seed, size). The registry is here and costs nothing to
import: a name is a file beside this one, which is loaded with its first composer and says all else
of the style in its `STYLE`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.compose.style import Style

# Those that show the object, in the order people are offered them.
OVERLAYS = ("echo", "poster", "sticker", "duotone", "spotlight", "halftone")
DEFAULT = OVERLAYS[0]
AUTO = "auto"  # in the settings and on the command line: another style for each picture
WITHOUT_MASK = "swatches"  # the style for images without a clear object
# Styles that are no more, and the one that is nearest: settings are told, stored replies take it.
GONE: Mapping[str, str] = {
    "tint": "duotone",
    "outline": "spotlight",
    "pattern": "halftone",
    "facets": "poster",
    "pop": "halftone",
    "grade": WITHOUT_MASK,
}


def styles() -> tuple[str, ...]:
    """The names of all styles."""
    return (*OVERLAYS, WITHOUT_MASK)


def composer(style: str) -> Style:
    """A style, ready to compose. Raises ValueError, with the nearest name, for an unknown one."""
    if style in GONE:
        raise ValueError(f"the style {style!r} was removed; {GONE[style]!r} is nearest to it")
    if style not in styles():
        near = difflib.get_close_matches(style, styles(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(styles())}"
        raise ValueError(f"unknown style {style!r} ({hint})")
    found: Style = importlib.import_module(f"{__name__}.{style}").STYLE
    return found
