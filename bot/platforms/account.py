"""The keys that an account of every platform has; a platform's own model adds the others."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from bot.schema.fields import DurationOrOff, Rates, Username
from bot.schema.section import Section


class Account(Section, live={"mentions_every"}):
    platform: str
    username: Username
    mentions_every: DurationOrOff = timedelta(minutes=5)
    pacing: Rates = Field(default_factory=dict)  # by class of action; the rest as in [pacing]

    @property
    def handle(self) -> str:
        """The user name as posts of this platform give it, lower case; one account has it."""
        return self.username

    @property
    def network(self) -> str:
        """What leads to another network of the same platform: a proxy, a server; may be secret."""
        return ""
