"""Pages of HTML for a person to look at: one file each, without scripts, with nothing loaded."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import jinja2

from bot.core.files import replacing


@contextmanager
def page_at(path: Path) -> Iterator[IO[str]]:
    """A page that replaces `path` when it is complete; mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        out = io.TextIOWrapper(file, encoding="utf-8", errors="replace")
        yield out
        out.detach()  # and so written to the file, which stays open


def template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """A template of this folder, with `link`, `words` and these filters; it escapes everything."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bot.verbs", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"link": link, "words": words, **filters}
    return environment.get_template(name)


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most first; what is as many, by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def data_uri(kind: Literal["jpeg", "png", "webp"], image: bytes) -> str:
    """An image as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def words(name: str) -> str:
    """`near_duplicate` as people write it."""
    return name.replace("_", " ")


def link(url: str) -> str:
    """The address if it may be a link: http or https with a host. Else empty."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""
