"""The people whom a caption mentions."""

from __future__ import annotations

import re

from bot.core.links import without_links

# A server follows where names are given by servers: @ana@example.org
_SERVER = r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,63}"
_NAME = re.compile(
    rf"(?<![A-Za-z0-9_.@/])[@＠]([A-Za-z0-9_][A-Za-z0-9._]{{0,29}}(?:{_SERVER})?)(?![A-Za-z0-9_@])"
)


def mentions(caption: str) -> tuple[str, ...]:
    """User names after '@', in order, each once, lower case, with their server where one is named.

    Addresses of e-mail are none.
    """
    text = without_links(caption)
    names = (match.group(1).rstrip(".").lower() for match in _NAME.finditer(text))
    return tuple(dict.fromkeys(names))
