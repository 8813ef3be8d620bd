"""What a platform says of itself: a package exports one `Descriptor` as `PLATFORM`.

Importing a package loads no SDK: that is for `build`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.platforms.account import Account
from bot.platforms.addressing import Spelling
from bot.platforms.base import Authorization, Pacer, Platform
from bot.platforms.deletion import Deletion
from bot.platforms.reply_modes import Ways
from bot.schema.values import Rate
from bot.sidecars.sidecar import Tool


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client of one account is made from."""

    account: str  # its name in the settings
    settings: Account
    session_file: Path  # for whatever a login gives, readable by its owner only
    pacer: Pacer


@dataclass(frozen=True, slots=True)
class Package:
    """The library that a platform is reached by."""

    name: str
    tested: str  # how the versions begin with which it was tested


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A platform, without being on it."""

    name: str  # as `platform = "..."` and the database have it
    settings: type[Account]
    secrets: tuple[str, ...]  # keys that come from the environment; the first is for a login
    build: Callable[[Opening], Platform]  # sends nothing
    actions: Mapping[str, Rate | None]  # each class of requests with its limit; None: no limit
    ways: Ways
    spelling: Spelling
    deletion: Mapping[str, Deletion]  # of each kind of thing that our writes leave
    streams: bool = False  # its clients are `bot.platforms.base.Streaming`
    credentials: tuple[str, ...] = ()  # what its answers call secrets, to mask in logs
    sdk: Package | None = None
    tools: tuple[Tool, ...] = ()  # whose sidecars can be imported
    # Where a code of the platform is worth the first of the secrets; it asks the platform
    authorize: Callable[[Opening], Authorization] | None = None
    loopback: str = ""  # the module that is a network of it on this machine, as a process
    # What a person should change about the account, by the session that was stored at its login
    remarks: Callable[[Mapping[str, Any]], Sequence[str]] = lambda _: ()

    def __post_init__(self) -> None:
        strange = [name for name in self.secrets if name not in self.settings.model_fields]
        if strange:
            raise ValueError(f"{self.name}: no such settings: {', '.join(strange)}")
        unpaced = [step.name for step in self.ways.steps() if step.action not in self.actions]
        if unpaced:
            raise ValueError(f"{self.name}: no limit for {', '.join(unpaced)}")
        left = {step.leaves for step in self.ways.steps() if step.leaves}
        if unsaid := sorted(left - set(self.deletion)):
            raise ValueError(f"{self.name}: what deletion means of {', '.join(unsaid)}?")
