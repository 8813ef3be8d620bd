"""How people and posts of a platform are written, by those who name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.core import normal_form as text


@dataclass(frozen=True, slots=True)
class Spelling:
    post: Callable[[str], str | None]  # out of an address, or of its path; None: it names no post
    post_id: Callable[[str], str]  # an id as we keep it; raises ValueError for what is none
    is_user_id: Callable[[str], bool]  # so that somebody is kept out whom we never saw
    example: str  # of a post: "PLATFORM/p/CODE"
    handle: Callable[[str], str] = text.username  # the one spelling by which names are compared
