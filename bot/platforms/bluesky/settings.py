"""The keys of a Bluesky account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator, SecretStr

from bot.net.addresses import is_loopback
from bot.platforms.account import Account
from bot.schema.fields import SPLIT, PositiveDuration
from bot.schema.problems import quote

_LABEL = re.compile(r"!?[a-z0-9]+(?:-[a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
BLUESKY = "https://bsky.social"
# One JSON stream of all posts of the network, some 30 KB a second; its cursor is a time.
JETSTREAM = "wss://jetstream2.us-east.bsky.network/subscribe"


def _address(value: object, schemes: tuple[str, str], example: str) -> str:
    """An address without path; the second scheme, which is not encrypted, for this machine only."""
    try:
        parts = urlsplit(value.strip() if isinstance(value, str) else "")
        named = parts.hostname or ""
        usual, plain = schemes
        good = parts.scheme == usual or (parts.scheme == plain and is_loopback(named))
        good = good and bool(named) and "@" not in parts.netloc and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f'{quote(value)} is not an address such as "{example}"')
    return parts.geturl().rstrip("/")


def _server(value: object) -> str:
    address = _address(value, ("https", "http"), BLUESKY)
    if urlsplit(address).path:
        raise ValueError(f'{quote(value)} has a path; a server is named as "{BLUESKY}"')
    return address


def _events(value: object) -> str:
    if value in ("auto", "off"):
        return str(value)
    return _address(value, ("wss", "ws"), JETSTREAM)


def _fits(form: re.Pattern[str], what: str) -> PlainValidator:
    def check(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"{quote(value)} is not {what}")
        return value

    return PlainValidator(check)


Server = Annotated[str, PlainValidator(_server)]
Labels = Annotated[tuple[Annotated[str, _fits(_LABEL, 'a label such as "nudity"')], ...], SPLIT]
Languages = Annotated[
    tuple[Annotated[str, _fits(_LANGUAGE, 'a language such as "en"')], ...], SPLIT
]


class BlueskyAccount(Account):
    password: SecretStr | None = None  # an app password
    server: Server = BLUESKY
    events: Annotated[str, PlainValidator(_events)] = "auto"
    directory: Server = "https://plc.directory"
    languages: Languages = ("en",)
    self_labels: Labels = ("bot",)
    mark_as_bot: bool = True  # the profile of the account
    avoid_labels: Labels = ("porn", "sexual", "nudity", "graphic-media", "gore", "spam")
    timeout: PositiveDuration = timedelta(seconds=30)

    @property
    def network(self) -> str:
        return self.server

    @property
    def stream(self) -> str:
        """Where events come from; "": nowhere."""
        if self.events == "off":
            return ""
        if self.events != "auto":
            return self.events
        if self.server == BLUESKY:
            return JETSTREAM
        socket = self.server.replace("http", "ws", 1)
        return f"{socket}/xrpc/com.atproto.sync.subscribeRepos"
