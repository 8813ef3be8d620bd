"""The checks of curation: the one list of their names."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Check(StrEnum):
    """What an image may fail; the name of the verdict it then gets."""

    ANIMATED = "animated"  # more than one frame
    ASPECT = "aspect"  # its shape is too long or too tall
    BLUR = "blur"  # the sharpness is below `min_sharpness`
    EXACT = "exact_duplicate"  # the same bytes were posted earlier
    LABEL_FIT = "label_fit"  # a hashtag that it was collected for is improbable
    LOW_INFORMATION = "low_information"  # almost no shades: one colour, a line of text
    NEAR = "near_duplicate"  # the same photo as a larger, or earlier, image of its group
    OVEREXPOSED = "overexposed"  # the brightness is above its limit
    REJECTED = "rejected"  # a person rejected it
    SCREENSHOT = "screenshot"  # large flat areas, straight edges; not one of a photo
    SMALL = "small"  # too few pixels
    UNDEREXPOSED = "underexposed"  # the brightness is below its limit


# Names that queries and files were once allowed to use, for what they meant.
_FORMER = {
    "exposure": (Check.OVEREXPOSED, Check.UNDEREXPOSED),
    "information": (Check.LOW_INFORMATION,),
    "size": (Check.SMALL,),
}
NAMES = (*Check, *_FORMER)


def checks(names: Iterable[str]) -> tuple[Check, ...]:
    """Each once. Raises ValueError for a name that is none."""
    found: dict[Check, None] = {}
    for name in names:
        if name not in NAMES:
            raise ValueError(f"no check {name[:60]!r}; there are {', '.join(Check)}")
        found |= dict.fromkeys(_FORMER.get(name) or (Check(name),))
    return tuple(found)
