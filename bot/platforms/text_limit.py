"""How long the text of a write may be on a platform, and how it is shortened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextLimit:
    """How long a text may be, by the platform's own way of counting."""

    most: int
    length: Callable[[str], int] = len

    def fitted(self, text: str, keep: str) -> str:
        """`text`, cut where it is too long, with `keep`, which is in it, whole and at its end."""
        if self.length(text) <= self.most:
            return text
        head, tail = text.replace(keep, "").rstrip(), f"… {keep}".rstrip()
        while head and self.length(head + tail) > self.most:
            head = head[:-1].rstrip()
        return head + tail if head else keep
