"""The hashtags that tell posts apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

FEW_POSTS = (
    5  # a hashtag on fewer posts cannot be learned; one on more than half of them tells nothing
)


def telling(posts: Collection[Sequence[str]]) -> dict[str, int]:
    """Hashtags on at least FEW_POSTS and at most half of these posts, with the number of posts."""
    carriers = Counter(tag for tags in posts for tag in set(tags))
    return {tag: n for tag, n in carriers.items() if FEW_POSTS <= n <= len(posts) / 2}
