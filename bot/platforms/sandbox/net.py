"""The parts of one running network, and the request and answer its endpoints speak in."""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.platforms.sandbox.faults import Faults
from bot.platforms.sandbox.journal import Journal
from bot.platforms.sandbox.photos import Gallery
from bot.platforms.sandbox.sessions import Sessions
from bot.platforms.sandbox.things import Person, Picture
from bot.platforms.sandbox.world import World

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Upload:
    picture: Picture
    sha256: str


@dataclass(slots=True)
class Network:
    world: World
    gallery: Gallery
    journal: Journal
    faults: Faults
    sessions: Sessions
    media_base: str = ""  # scheme and host that image addresses begin with
    page_size: int = 27  # instagrapi drops what a hashtag page holds beyond 27
    dedupe_tokens: bool = False  # True: a repeated token gives back the first write
    uploads: dict[str, Upload] = field(default_factory=dict)
    applied: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def image_url(self, picture: Picture) -> str:
        return f"{self.media_base}/m/{picture.key}.jpg"


@dataclass
class Call:
    """One request. `actor` is who the session token belongs to."""

    host: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    http: str = "1.1"
    client_port: int = 0
    actor: Person | None = None

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The body's fields, out of a signed body, a plain form or JSON."""
        text = self.body.decode("utf-8", "replace")
        try:
            if text.startswith("{"):
                return dict(json.loads(text))
            form = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
            signed = form.get("signed_body", "")
            return dict(json.loads(signed.partition(".")[2]) if signed else form)
        except (ValueError, TypeError):
            raise Refusal(fail(400, "Invalid request body")) from None

    def text(self, name: str) -> str:
        """A field as text; empty when it is missing or null."""
        value = self.data.get(name)
        return "" if value is None else str(value)

    @property
    def me(self) -> Person:
        if self.actor is None:
            raise Refusal(fail(403, "login_required", error_title="You have been logged out"))
        return self.actor


@dataclass(slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def ok(**fields: Any) -> Answer:
    return Answer(200, json.dumps({**fields, "status": "ok"}).encode(), {"content-type": JSON_TYPE})


def fail(status: int, message: str, **fields: Any) -> Answer:
    body = {"message": message, "status": "fail", **fields}
    return Answer(status, json.dumps(body).encode(), {"content-type": JSON_TYPE})


Handler = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    open: bool  # answers without a session
    write: str  # the kind of write it makes, for faults; empty for reads


class Routes:
    """Endpoints of one module; handlers take (network, call, **named groups of the pattern)."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def __call__(
        self, method: str, pattern: str, *, open: bool = False, write: str = ""
    ) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.all.append(Route(method, re.compile(pattern), handler, open, write))
            return handler

        return keep
