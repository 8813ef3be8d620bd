"""Every platform by name. A package is imported when it is asked for, its SDK when it is built."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.platforms.descriptor import Descriptor
    from bot.platforms.reply_modes import Mode

_PACKAGES = {
    "instagram": "bot.platforms.instagram",
    "bluesky": "bot.platforms.bluesky",
    "mastodon": "bot.platforms.mastodon",
}
_FOR_TESTS = {"memory": "bot.platforms.memory"}  # found by name, and offered to nobody


def names() -> tuple[str, ...]:
    """Those that an operator may choose."""
    return tuple(_PACKAGES)


FIRST = names()[0]  # where an operator names none


@functools.cache
def find(name: str) -> Descriptor | None:
    """The descriptor of a platform; None for a name that no package has."""
    package = (_PACKAGES | _FOR_TESTS).get(name)
    if package is None:
        return None
    found: Descriptor = importlib.import_module(package).PLATFORM
    return found


def descriptors() -> tuple[Descriptor, ...]:
    """Of those that an operator may choose, in the order of `names`."""
    return tuple(found for name in _PACKAGES if (found := find(name)) is not None)


def every() -> tuple[Descriptor, ...]:
    """Of all packages, those for tests among them."""
    found = map(find, _PACKAGES | _FOR_TESTS)
    return tuple(one for one in found if one is not None)


def ways(platform: str, wished: Sequence[str]) -> tuple[Mode, ...]:
    """Those of the wished ways of replying that a platform has, else its first. Raises KeyError."""
    found = find(platform)
    if found is None:
        raise KeyError(platform)
    return found.ways.of(wished)


def secret_names() -> tuple[str, ...]:
    """Keys of accounts, of any platform, that never stand in a file."""
    return tuple(dict.fromkeys(name for one in every() for name in one.secrets))
