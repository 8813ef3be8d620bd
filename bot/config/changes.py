"""What differs between two configurations, and how much of it a running service can adopt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from typing import TypeVar

from pydantic import SecretStr

from bot.config.settings import Settings
from bot.schema.problems import quote
from bot.schema.section import Section
from bot.schema.values import format_duration

_S = TypeVar("_S", bound=Section)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key that has another value, or a track or an account that came or went."""

    name: str  # "replies.per_day", "accounts.main"
    what: str  # "20 → 5", "added"; of secrets only "changed"
    live: bool  # a running service adopts it

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def changes(old: Settings, new: Settings) -> list[KeyChange]:
    """Sorted by name."""
    before, after = _sections(old), _sections(new)
    found = [
        KeyChange(name, "removed" if name in before else "added", name.startswith("track "))
        for name in before.keys() ^ after.keys()
    ]
    for name in before.keys() & after.keys():
        found += _differences(name, before[name], after[name])
    return sorted(found, key=str)


def adopted(old: Settings, new: Settings) -> Settings:
    """`old` with every live key of `new`.

    The accounts stay the same ones: one that comes or goes waits for a restart.
    """
    sections = {
        name: _merged(section, getattr(new, name))
        for name, section in old
        if isinstance(section, Section)
    }
    accounts = {
        name: _merged(account, new.accounts.get(name, account))
        for name, account in old.accounts.items()
    }
    return old.model_copy(update={**sections, "accounts": accounts, "tracks": new.tracks})


def _merged(old: _S, new: _S) -> _S:
    return old.model_copy(update={key: getattr(new, key) for key in old.live_keys()})


def _sections(settings: Settings) -> dict[str, Section]:
    found = {name: section for name, section in settings if isinstance(section, Section)}
    found |= {f"accounts.{name}": account for name, account in settings.accounts.items()}
    return found | {f"track {track.key}": track for track in settings.tracks}


def _differences(name: str, old: Section, new: Section) -> list[KeyChange]:
    """An account that is of another platform now has other keys as well."""
    before: Mapping[str, object] = dict(old)
    after: Mapping[str, object] = dict(new)
    return [
        KeyChange(
            f"{name}.{key}", _difference(before.get(key), after.get(key)), key in old.live_keys()
        )
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]


def _difference(was: object, now: object) -> str:
    secret = isinstance(was, SecretStr) or isinstance(now, SecretStr)
    return "changed" if secret else f"{_shown(was)} → {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "off"}[value]
    return quote(value) if isinstance(value, str) else str(value)
