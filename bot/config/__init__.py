"""Settings: `config.toml`, the environment over it, secrets from the environment only.

settings.py   the sections and their keys; load, parse, diff
fields.py     the types of the keys: what each accepts and what it becomes
values.py     durations, sizes, rates, quiet hours, names
source.py     the file with the environment over it
lines.py      where every key stands in the file
problems.py   how a mistake is told
tracks.py     edits [[tracks]] in place
"""

from bot.config.settings import (
    STYLES,
    Account,
    Data,
    Health,
    Limits,
    Log,
    Models,
    Pacing,
    Replies,
    Section,
    Settings,
    Track,
    diff,
    load,
    parse,
)

__all__ = [
    "STYLES",
    "Account",
    "Data",
    "Health",
    "Limits",
    "Log",
    "Models",
    "Pacing",
    "Replies",
    "Section",
    "Settings",
    "Track",
    "diff",
    "load",
    "parse",
]
