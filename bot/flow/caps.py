"""How many replies may go out on a day, in all and to one author; and what is rendered for that."""

from __future__ import annotations

from bot.flow.policy import Policy

AHEAD_DAYS = 2  # of replies rendered before they may go out


def reached(policy: Policy, sent_today: int, sent_to_author_today: int) -> str:
    """Which cap of the operator's day is reached, in words; "" for none."""
    if sent_today >= policy.per_day:
        return f"the cap of {policy.per_day} a day is reached"
    if sent_to_author_today >= policy.per_author_per_day:
        return f"the cap of {policy.per_author_per_day} a day for this author is reached"
    return ""


def ahead(policy: Policy) -> tuple[int, int]:
    """How many replies are rendered in advance, in all and to one author: those of AHEAD_DAYS.

    It is at least one, also with a cap of 0: a person may want to see it.
    """
    return (
        max(1, AHEAD_DAYS * policy.per_day),
        max(1, AHEAD_DAYS * policy.per_author_per_day),
    )
