"""Options and small pieces that several verbs share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.verb import chosen, chosen_if_there
from bot.core.errors import UsageError
from bot.core.voice import VOICE

if TYPE_CHECKING:  # what settings need would make --help slow
    from bot.config import Settings
    from bot.config.source import Secrets

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file.",
        envvar="TAGECHO_CONFIG",
        callback=chosen,
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="Show at most so many, newest first.")]
Numbers = Annotated[
    list[str],
    typer.Argument(help="The numbers of the replies, as `replies list` shows them: 7, 10-40."),
]
Chosen = Annotated[
    list[str] | None,
    typer.Argument(
        help="The numbers of the replies, as `replies list` shows them: 7, 10-40. "
        "Of a range, those that cannot be are left out."
    ),
]
InState = Annotated[
    str | None, typer.Option("--state", help="Only replies in this state.", metavar="STATE")
]
By = Annotated[
    str | None, typer.Option("--author", help="Only replies to this person.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the list as CSV, with a heading.")]
CONFIG = Path("config.toml")
LEVELS = ("debug", "info", "warning", "error")
MOST_NUMBERS = 100_000  # in one range
Networks = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file, for [models] and [limits].",
        envvar="TAGECHO_CONFIG",
        callback=chosen_if_there,
    ),
]


def day(written: str, option: str) -> datetime | None:
    """A date, or a date with a time, as aware UTC; None for "". Raises UsageError."""
    from bot.schema.values import parse_day

    try:
        return parse_day(written) if written else None
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def load(path: Path, *, disk: bool = False, secrets: Secrets = "all") -> Settings:
    """`disk`: also see whether the data folder can be used; `secrets`: which are read."""
    from bot import config

    return config.load(path, styles=config.STYLES, disk=disk, secrets=secrets)


def network_settings(path: Path | None) -> Settings:
    """Settings for the image verbs: the named file, else ./config.toml, else the defaults."""
    from bot.config import Settings

    if path is None and not CONFIG.exists():
        return Settings()
    return load(path or CONFIG, secrets="none")


def prepare(path: Path, *, secrets: Secrets = "none") -> Settings:
    """Settings for a verb that opens the database; its log goes to stderr.

    `secrets`: which are read; only a verb that logs in needs those of accounts.
    """
    settings = load(path, secrets=secrets)
    log_to(settings, "warning")
    return settings


def log_to(settings: Settings, level: str, folder: Path | None = None) -> None:
    """Log from `level` on, or more with -v, or less with -q."""
    from bot.service.app import secrets_of
    from bot.service.observe import configure_logs

    configure_logs(_louder(level), settings.log.format, secrets=secrets_of(settings), folder=folder)


def _louder(level: str) -> str:
    if VOICE.quiet:
        return "error"
    return LEVELS[max(0, LEVELS.index(level) - VOICE.loudness)]


def only_account(settings: Settings) -> str:
    names = list(settings.accounts)
    if len(names) != 1:
        raise UsageError(f"say which account: --account {' | '.join(names) or '(none configured)'}")
    return names[0]


def ranges_of(texts: list[str]) -> list[range]:
    """`["7", "10-12"]` as the numbers of each. Raises UsageError."""
    found = []
    for text in texts:
        first, dash, last = text.partition("-")
        plain = first.isascii() and first.isdigit() and (not dash or last.isdigit())
        if not plain or (dash and not 0 <= int(last) - int(first) < MOST_NUMBERS):
            raise UsageError(f"{text!r}: write numbers of the list, as 7, or ranges, as 10-40")
        found.append(range(int(first), int(last or first) + 1))
    return found
