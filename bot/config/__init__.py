"""Settings: `config.toml`, the environment over it, secrets from the environment only.

settings.py   the sections and their keys, and which are live; load, parse
changes.py    what differs between two files, and what of it a running service adopts
fields.py     the types of the service's own keys; shared ones are in bot.schema
values.py     quiet hours, thresholds
source.py     the file with the environment over it, and the secrets
initial.py    the first configuration, from template.toml, which explains every key
unwise.py     what is legal, and to be warned of
lines.py      where every key stands in the file
tracks.py     edits [[tracks]] in place
"""

from bot.config.changes import adopted, changes
from bot.config.settings import (
    STYLES,
    Data,
    HealthSettings,
    LimitSettings,
    Log,
    Models,
    Pacing,
    Replies,
    Settings,
    TrackSettings,
    load,
    parse,
)

__all__ = [
    "STYLES",
    "Data",
    "HealthSettings",
    "LimitSettings",
    "Log",
    "Models",
    "Pacing",
    "Replies",
    "Settings",
    "TrackSettings",
    "adopted",
    "changes",
    "load",
    "parse",
]
