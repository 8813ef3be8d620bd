"""How people, hashtags and posts of a platform are written, by those who name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.core import hashtags as tags
from bot.core import mentions as people
from bot.core import normal_form as text


def _nobody(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Spelling:
    """Every text that is compared is brought to one spelling first."""

    post: Callable[[str], str | None]  # out of an address, or of its path; None: it names no post
    post_id: Callable[[str], str]  # an id as we keep it; raises ValueError for what is none
    is_user_id: Callable[[str], bool]  # so that somebody is kept out whom we never saw
    example: str  # of a post: "PLATFORM/p/CODE"
    handle: Callable[[str], str] = text.username  # a name as somebody writes it, as it is compared
    hashtag: Callable[[str], str] = tags.one_hashtag  # the same; raises ValueError for what is none
    hashtags: Callable[[str], tuple[str, ...]] = tags.hashtags  # of a caption, in that spelling
    mentions: Callable[[str], tuple[str, ...]] = people.mentions  # of a caption, as `handle`
    # The name in the address of a post, where the id is made of its bearer's
    author_in: Callable[[str], str | None] = _nobody
