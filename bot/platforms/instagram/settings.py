"""The keys of an Instagram account."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from bot.platforms.account import Account
from bot.schema.fields import SPLIT, Delay, OptionalFile, PositiveDuration, ProxyUrl, host


def _totp(value: object) -> object:
    """The base32 seed, as apps show it: in groups, in any case."""
    if not isinstance(value, str):
        return value
    seed = re.sub(r"[\s-]", "", value).upper().rstrip("=")
    try:
        key = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except ValueError:
        key = b""
    if not key:
        raise ValueError("is not a base32 secret (letters A-Z and digits 2-7)")
    return SecretStr(seed)


_Hosts = Annotated[tuple[Annotated[str, host("*.cdninstagram.com")], ...], SPLIT]


class InstagramAccount(Account):
    password: SecretStr | None = None
    totp_secret: Annotated[SecretStr | None, BeforeValidator(_totp)] = None
    proxy: ProxyUrl = None
    ca_file: OptionalFile = None
    media_hosts: _Hosts = ("*.cdninstagram.com", "*.fbcdn.net")
    request_delay: Delay = (1.0, 3.0)  # seconds, at least and at most
    timeout: PositiveDuration = timedelta(seconds=30)

    @property
    def network(self) -> str:
        """Another proxy leads to another network, as a rehearsal's does."""
        return self.proxy.get_secret_value() if self.proxy else ""
