"""What people do goes into the log: who, what, and what became of it."""

from __future__ import annotations

from bot.console.access.roles import Person
from bot.console.context import Context
from bot.core.clock import utc_now
from storage import audit


def note(here: Context, person: Person, action: str, target: str, outcome: str = "done") -> None:
    """Write it down. `action`: noun and verb, as "reply approve"."""
    with here.app.database.write() as session:
        audit.add(session, person.name, person.address, action, target, outcome, utc_now())
