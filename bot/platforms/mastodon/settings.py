"""The keys of an account on Mastodon."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from bot.platforms.account import Account
from bot.schema.fields import OptionalFile, PositiveDuration, ProxyUrl, host


def _without_scheme(value: object) -> object:
    """Of an address, as a browser shows it."""
    if not isinstance(value, str):
        return value
    return value.strip().removeprefix("https://").removeprefix("http://").rstrip("/")


_Server = Annotated[str, BeforeValidator(_without_scheme), host("mastodon.social")]
_Language = Annotated[str, Field(pattern=r"^([a-z]{2,3})?$")]


class MastodonAccount(Account):
    server: _Server = "mastodon.social"  # "host" or "host:port" of its API
    token: SecretStr | None = None
    visibility: Literal["public", "unlisted", "private", "direct"] = "unlisted"
    language: _Language = "en"  # of the replies' text; "": not said
    proxy: ProxyUrl = None
    ca_file: OptionalFile = None
    timeout: PositiveDuration = timedelta(seconds=30)

    @property
    def handle(self) -> str:
        return self.username if "@" in self.username else f"{self.username}@{self.server}"

    @property
    def network(self) -> str:
        return self.server
