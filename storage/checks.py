"""The checks of curation: the one list of their names."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Check(StrEnum):
    """What an image may fail; the name of the verdict it then gets."""

    ANIMATED = "animated"
    ASPECT = "aspect"
    BLUR = "blur"
    EXACT = "exact_duplicate"
    LABEL_FIT = "label_fit"
    LOW_INFORMATION = "low_information"
    NEAR = "near_duplicate"
    OVEREXPOSED = "overexposed"
    SCREENSHOT = "screenshot"
    SMALL = "small"
    UNDEREXPOSED = "underexposed"


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
