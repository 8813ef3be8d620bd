"""Which hashtags tell posts apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

FEW_POSTS = 5  # a hashtag of fewer posts cannot be learned; one of over half of them tells nothing


def telling(posts: Collection[Sequence[str]]) -> dict[str, int]:
    """Hashtags that at least FEW_POSTS and at most half of these posts carry, and how many do."""
    carriers = Counter(tag for tags in posts for tag in set(tags))
    return {tag: n for tag, n in carriers.items() if FEW_POSTS <= n <= len(posts) / 2}
