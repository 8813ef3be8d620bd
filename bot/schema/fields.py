"""Types of keys that more than one section uses, a platform's own among them.

Each says what it accepts and what it becomes; a mistake is a ValueError with the reason.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
)

from bot.schema.problems import quote
from bot.schema.values import (
    Rate,
    parse_duration,
    parse_hashtag,
    parse_rate,
    parse_seconds,
    parse_username,
)

HOST = re.compile(
    r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|\[[0-9a-f:]+\](:[0-9]{1,5})?"
)


def split(value: object) -> object:
    """A single text is a list of one; commas separate in the environment, where no list fits."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0")
    return value


def _duration_or_off(value: object) -> timedelta | None:
    return None if value is False or value == "off" else parse_duration(value) or None


def _delay(value: object) -> tuple[float, float]:
    """Two numbers of seconds, or one for both."""
    parts = value.split(",") if isinstance(value, str) else value
    parts = [parts, parts] if isinstance(parts, int | float) else parts
    what = "must be two numbers of seconds, the smaller first, such as [1.0, 3.0]"
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ValueError(what)
    try:
        least, most = (parse_seconds(part).total_seconds() for part in parts)
    except ValueError:
        raise ValueError(what) from None
    if least > most:
        raise ValueError(what)
    return least, most


def resolved(value: object, info: ValidationInfo) -> object:
    """A path relative to the folder of the config file."""
    if not isinstance(value, str | Path):
        return value
    if not str(value) or "\0" in str(value):
        raise ValueError("is not a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{quote(str(value))}: no such user's home") from None
    return (info.context or {}).get("folder", Path()) / path


def _resolved_or_none(value: object, info: ValidationInfo) -> object:
    return None if value == "" else resolved(value, info)


def _proxy(value: object) -> object:
    """Never repeated in a message: it may hold a password."""
    if not isinstance(value, str) or value == "":
        return None if value == "" else value
    what = 'must be a URL such as "http://127.0.0.1:8899"'
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError(what) from None
    if url.scheme not in ("http", "https", "socks5", "socks5h") or not url.hostname or not port:
        raise ValueError(what)
    return SecretStr(value)


def host(example: str) -> PlainValidator:
    """A host, `*.` before it for all below it, and a port; `example` is what a mistake is told."""

    def check(value: object) -> str:
        name = value.strip().lower() if isinstance(value, str) else ""
        if not HOST.fullmatch(name):
            what = f'is not a host such as "{example}" or "127.0.0.1:8480"'
            raise ValueError(f"{quote(value)} {what}")
        return name

    return PlainValidator(check)


AS_WRITTEN = PlainSerializer(str, when_used="unless-none")
Rates = dict[str, Annotated[Rate | None, PlainValidator(parse_rate), AS_WRITTEN]]
SPLIT = BeforeValidator(split)

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(positive)]
DurationOrOff = Annotated[timedelta | None, BeforeValidator(_duration_or_off)]
Delay = Annotated[tuple[float, float], BeforeValidator(_delay)]

Hashtag = Annotated[str, PlainValidator(parse_hashtag)]
Username = Annotated[str, PlainValidator(parse_username)]
OptionalFile = Annotated[Path | None, BeforeValidator(_resolved_or_none)]
ProxyUrl = Annotated[SecretStr | None, BeforeValidator(_proxy)]
