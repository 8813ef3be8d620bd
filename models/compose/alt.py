"""Alt text: what a person who cannot see the picture needs to know about it."""

from __future__ import annotations

from models.compose.palette import colour_name, hue

MADE_BY = "made by a machine"

_WHAT = {  # {object} with its size, {colour} of the seed
    "tint": "{object} tinted {colour}",
    "outline": "a glowing {colour} line around {object}",
    "sticker": "{object} cut out like a sticker on a {colour} backdrop",
    "spotlight": "{object} in the light and its surroundings dimmed",
    "pattern": "{object} engraved in {colour} lines",
    "facets": "{object} turned into triangles like cut stone",
    "pop": "{object} in full colour before a {colour} halftone print",
    "grade": "its colours changed as on film, with warm light from the side",
}


def alt_text(style: str, *, author: str, coverage: float, seed: int) -> str:
    """One plain sentence. `coverage`: the mask's share of the image, in [0, 1]."""
    name = author.lstrip("@")
    whose = f"Photo by @{name}" if name else "Photo"
    if style not in _WHAT or (coverage <= 0 and style != "grade"):
        return f"{whose}; {MADE_BY}"
    what = _WHAT[style].format(object=_object(coverage), colour=colour_name(hue(seed)))
    return f"{whose} with {what}; {MADE_BY}"


def _object(coverage: float) -> str:
    if coverage < 0.08:
        return "the small main object"
    if coverage > 0.6:
        return "the large main object"
    return "the main object"
