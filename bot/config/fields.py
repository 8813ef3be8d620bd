"""The types of the service's own keys: what each accepts and what it becomes."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    ValidationInfo,
)

from bot.config.values import Threshold, parse_quiet_hours, parse_threshold
from bot.core import normal_form as text
from bot.flow.quiet_hours import QuietHours
from bot.net.addresses import is_loopback
from bot.schema.fields import AS_WRITTEN, HOST, SPLIT, Duration, Hashtag, Username, host, resolved
from bot.schema.problems import did_you_mean, not_one_of, quote
from bot.schema.values import Rate, parse_duration, parse_rate, parse_size
from models.serving.catalogue import names
from storage.checks import NAMES, Check, checks

DELETED_POSTS = ("keep", "metadata", "remove")
UPSCALERS = ("embedded", *names("upscaler"))
LEARNING_STARTS = ("in-service", "scratch")
SEGMENTERS = ("learned", "embedded", *names("segmenter"))
REFINERS = ("off", *names("refiner"))
NOTICES = ("replies", "login", "challenge", "track", "disk")  # what a notice may be about
ORDERS = ("fairest", "newest")
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "text", "json")
DEFAULT = "default"  # of a limit: the one that the platform has
SHORTEST = 8  # characters of a password of the console
PLACEHOLDERS = ("author", "style", "url")

_DATABASE = re.compile(r"(sqlite|postgres(?:ql)?(?:\+psycopg)?)://")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_ACCOUNT = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def _limit(value: object) -> Rate | str | None:
    return DEFAULT if value == DEFAULT else parse_rate(value)


def _choice(*allowed: str) -> BeforeValidator:
    def check(value: object) -> object:
        if value not in allowed:
            raise ValueError(not_one_of(value, allowed))
        return value

    return BeforeValidator(check)


def _checks(written: tuple[str, ...]) -> tuple[str, ...]:
    """Checks of curation, or "all" of them."""
    if "all" in written:
        return ("all",)
    for name in written:
        if name not in NAMES:
            raise ValueError(not_one_of(name, ("all", *Check)))
    return tuple(map(str, checks(written)))


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic takes ValueError only
    return value


def _a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be at least 1s")
    return value


def _time_of_day(value: object) -> time | None:
    """`"03:00"`; None for an empty text."""
    if value is None or isinstance(value, time):
        return value
    if value == "":
        return None
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'{quote(value)} is not a time of day such as "03:00"')
    return time(int(found[1]), int(found[2]))


def _spacing(value: object) -> tuple[timedelta, timedelta]:
    """How long to wait before the first and before the second look at a write in doubt."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ValueError('must be two durations, such as ["20s", "2m"]')
    return parse_duration(parts[0]), parse_duration(parts[1])


def _database(value: object, info: ValidationInfo) -> object:
    """A URL SQLAlchemy takes, with the driver we ship. Never repeated: it may hold a password."""
    if not isinstance(value, str) or value == "":
        return None if value == "" else value
    found = _DATABASE.match(value)
    if not found:
        raise ValueError('must begin with "postgresql://" or "sqlite:///"')
    rest = value[found.end() :]
    if found[1] != "sqlite":
        return SecretStr(f"postgresql+psycopg://{rest}")
    if not rest.startswith("/") or rest == "/":
        raise ValueError('must name a file, as in "sqlite:///tagecho.db"')
    return SecretStr(f"sqlite:///{resolved(rest[1:], info)}")


def _mirror(value: object) -> str:
    """A base address, without the slash at its end; "" for none."""
    what = 'must be a URL such as "https://mirror.example/weights"; http only on this machine'
    text = value.rstrip("/") if isinstance(value, str) else "?"
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise ValueError(what) from None
    plain = url.scheme == "http" and is_loopback(url.hostname or "")
    fine = url.hostname and (plain or url.scheme == "https") and not url.query and not url.fragment
    if text and (not fine or "@" in url.netloc):
        raise ValueError(what)
    return text


def _urls(value: SecretStr | None) -> SecretStr | None:
    """Addresses of services, separated by white space. Never repeated: they hold secrets."""
    for number, url in enumerate(value.get_secret_value().split() if value else (), start=1):
        if not re.match(r"[a-z][a-z0-9.+-]*://.", url, re.I):
            raise ValueError(f'address {number} is none such as "mailto://…" or "ntfy://…"')
    return value


def _dataset(value: str) -> str:
    value = text.name(value) if value == value.strip() else value
    if not value.strip() or value != value.strip() or value.startswith("."):
        raise ValueError(f"{quote(value)} is not a name")
    if any(not c.isprintable() or c in '/\\:*?"<>|' for c in value):
        raise ValueError(f"{quote(value)}: a name holds no slashes and no control characters")
    return value


def _account(value: str) -> str:
    if not _ACCOUNT.fullmatch(value):
        raise ValueError("an account's name is made of a-z, 0-9 and single _")
    return value


def _zone(value: str) -> str:
    try:
        if value != "UTC":  # the one zone that needs no time zone database
            ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        near = did_you_mean(value, available_timezones())
        raise ValueError(f"{quote(value)} is not a time zone{near}") from None
    return value


def _listen(value: object) -> str:
    if value != "" and split_address(value) is None:
        raise ValueError(f'{quote(value)} is not an address such as "127.0.0.1:8490"')
    return str(value)


def console_address(value: object) -> tuple[str, int]:
    """(host, port). Raises ValueError when it is no address."""
    found = split_address(value)
    if found is None:
        raise ValueError(f'{quote(value)} is not an address such as "127.0.0.1:8491"')
    return found


def _console_address(value: object) -> str:
    console_address(value)
    return str(value)


def _host_name(value: object) -> str:
    name = value.lower() if isinstance(value, str) else ""
    if not HOST.fullmatch(name) or "*" in name or ":" in name:
        raise ValueError(f'{quote(value)} is not the name of a host such as "tagecho.example"')
    return name


def _password(value: SecretStr | None) -> SecretStr | None:
    if value is not None and len(value.get_secret_value()) < SHORTEST:
        raise ValueError(f"is shorter than {SHORTEST} characters")
    return value


def split_address(value: object) -> tuple[str, int] | None:
    """`"127.0.0.1:8490"` or `"[::1]:8490"` as (host, port); None when it is no address."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not HOST.fullmatch(host.lower()) or "*" in host or not re.fullmatch("[0-9]{1,5}", port):
        return None
    return (host.strip("[]"), int(port)) if int(port) < 65536 else None


def _template(*required: str) -> Callable[[str], str]:
    """Only the placeholders, each plain: no attribute of a stranger's text is ever looked up."""

    def check(value: str) -> str:
        try:
            parts = list(string.Formatter().parse(value))
        except ValueError as error:
            raise ValueError(f"is not a template: {error}") from None
        names = [name for _, name, _, _ in parts if name is not None]
        for _, name, form, conversion in parts:
            if name is not None and name not in PLACEHOLDERS:
                raise ValueError(f"unknown {{{quote(name)[1:-1]}}}; there are {_PLACES}")
            if form or conversion:
                raise ValueError(f"placeholders are plain: {_PLACES}")
        for name in required:
            if name not in names:
                raise ValueError(f"must contain {{{name}}}: the reply is found again by it")
        return value

    return check


_PLACES = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)


Interval = Annotated[Duration, AfterValidator(_a_second)]
TimeOfDay = Annotated[time | None, BeforeValidator(_time_of_day)]
Spacing = Annotated[tuple[timedelta, timedelta], BeforeValidator(_spacing)]
Size = Annotated[int, PlainValidator(parse_size)]
Bound = Annotated[Threshold | None, PlainValidator(parse_threshold), AS_WRITTEN]
Quiet = Annotated[QuietHours | None, PlainValidator(parse_quiet_hours), AS_WRITTEN]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=1_000_000_000)]
Some = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=1_000_000_000)]

Hashtags = Annotated[tuple[Hashtag, ...], SPLIT]
Usernames = Annotated[tuple[Username, ...], SPLIT]
Checks = Annotated[tuple[str, ...], SPLIT, AfterValidator(_checks)]
Nice = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=19)]
AccountName = Annotated[str, AfterValidator(_account)]
Dataset = Annotated[str, AfterValidator(_dataset)]

Limit = Annotated[Rate | str | None, PlainValidator(_limit), AS_WRITTEN]
ModeNames = Annotated[tuple[str, ...], SPLIT]  # `bot.config.settings` asks the platforms
UpscalerPack = Annotated[str, _choice(*UPSCALERS)]
DeletedPosts = Annotated[str, _choice(*DELETED_POSTS)]
SegmenterPack = Annotated[str, _choice(*SEGMENTERS)]
RefinerPack = Annotated[str, _choice(*REFINERS)]
LearningStart = Annotated[str, _choice(*LEARNING_STARTS)]
Tile = Annotated[int, BeforeValidator(_no_bool), Field(ge=32, le=2048)]
TilePad = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=512)]
Mirror = Annotated[str, PlainValidator(_mirror)]
Notices = Annotated[
    tuple[Annotated[str, _choice(*NOTICES)], ...],
    SPLIT,
]
NoticeUrls = Annotated[SecretStr | None, AfterValidator(_urls)]
OwnHosts = Annotated[tuple[Annotated[str, host("127.0.0.1:2525")], ...], SPLIT]
Order = Annotated[str, _choice(*ORDERS)]
Level = Annotated[str, _choice(*LEVELS)]
LogFormat = Annotated[str, _choice(*FORMATS)]

Folder = Annotated[Path, BeforeValidator(resolved)]
DatabaseUrl = Annotated[SecretStr | None, BeforeValidator(_database)]
Listen = Annotated[str, PlainValidator(_listen)]
ConsoleAddress = Annotated[str, PlainValidator(_console_address)]
HostNames = Annotated[tuple[Annotated[str, PlainValidator(_host_name)], ...], SPLIT]
Password = Annotated[SecretStr | None, AfterValidator(_password)]
Zone = Annotated[str, AfterValidator(_zone)]
Template = Annotated[str, AfterValidator(_template())]
Caption = Annotated[str, AfterValidator(_template("url"))]
