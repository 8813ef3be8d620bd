"""Alt text: what a person who cannot see the picture needs to know about it."""

from __future__ import annotations

from models.compose.styles import composer, styles

MADE_BY = "made by a machine"


def alt_text(style: str, *, author: str, coverage: float) -> str:
    """One plain sentence. `coverage`: the mask's share of the image, in [0, 1]."""
    name = author.lstrip("@")
    whose = f"Photo by @{name}" if name else "Photo"
    if style not in styles():  # one that is no more
        return f"{whose}; {MADE_BY}"
    composed = composer(style)
    if coverage <= 0 and composed.needs_mask:
        return f"{whose}; {MADE_BY}"
    what = composed.alt.format(object=_object(coverage))
    return f"{whose} with {what}; {MADE_BY}"


def with_sentence(alt: str, sentence: str) -> str:
    """What is to be seen, in the words of whoever reviewed the image, and then the rest."""
    shown = " ".join(sentence.split()).rstrip(".;")
    return f"{shown[0].upper()}{shown[1:]}. {alt}" if shown else alt


def _object(coverage: float) -> str:
    if coverage < 0.08:
        return "the small main object"
    if coverage > 0.6:
        return "the large main object"
    return "the main object"
