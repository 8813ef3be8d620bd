"""Settings: `config.toml`, the environment over it, secrets from the environment only.

settings.py   the sections and their keys, and which are live; load, parse
changes.py    what differs between two files, and what of it a running service adopts
fields.py     the types of the keys: what each accepts and what it becomes
values.py     durations, sizes, rates, quiet hours, names
source.py     the file with the environment over it
lines.py      where every key stands in the file
problems.py   how a mistake is told
tracks.py     edits [[tracks]] in place
"""

from bot.config.changes import adopted, changes
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
    "adopted",
    "changes",
    "load",
    "parse",
]
