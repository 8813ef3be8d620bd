"""The gate: may this reply go out now? Rules over a frozen picture of the facts; no I/O.

Dry run, approval, caps, opt-out, quiet hours and the kill switch decide here whether it leaves.
What only the fresh post can say (is it still wanted?) is asked in `bot.flow.reply_rule`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.flow import caps
from bot.flow.policy import Policy
from storage.tables import ReplyState

RETRY_HOLD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Brakes:
    """What stops a reply at any moment, between two of its writes as well."""

    now: datetime
    paused: bool  # the kill switch, or the account's own
    opted_out: bool  # its author, or its source post
    half_out: bool  # something of it is on the network for people to see
    approved: bool  # by a person


@dataclass(frozen=True, slots=True)
class ReplyFacts(Brakes):
    """All that is known of a reply that is to go out."""

    expires_at: datetime
    sent_today: int  # replies of this account that left, or may have left, on the operator's day
    sent_to_author_today: int


@dataclass(frozen=True, slots=True)
class Go:
    pass


@dataclass(frozen=True, slots=True)
class Hold:
    """The reply has to wait."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The reply ends here, unless a person decides otherwise."""

    state: ReplyState
    reason: str


Answer = Go | Hold | Stop


def ask(facts: ReplyFacts, policy: Policy) -> Answer:
    """All rules that need no network. The caps do not stop a reply of which a part is published."""
    if (stopped := _stopped(facts, policy)) is not None:
        return stopped
    if facts.half_out:
        return Go()
    if facts.expires_at <= facts.now:
        return Stop(ReplyState.EXPIRED, "waited too long")
    return _within_limits(facts, policy)


def ask_between_writes(facts: Brakes, policy: Policy) -> Go | Hold:
    """Before each single write: only what must stop a reply that is on its way.

    What stops it for good is a hold that ends now: `ask` says what becomes of it.
    """
    answer = _stopped(facts, policy)
    if isinstance(answer, Stop):
        return Hold(facts.now, answer.reason)
    if answer is None and facts.opted_out:
        return Hold(facts.now, "opted out")  # cancelled after a look at the fresh post
    return answer or Go()


def rendered_state(policy: Policy, doubt: str = "") -> ReplyState:
    """The state of a reply after its image was rendered.

    `doubt`: why a person should look at its mask first, even when nobody approves replies.
    """
    if policy.dry_run:
        return ReplyState.DRY_RUN
    waits = policy.approval or bool(doubt)
    return ReplyState.AWAITING_APPROVAL if waits else ReplyState.APPROVED


def _stopped(facts: Brakes, policy: Policy) -> Hold | Stop | None:
    """Why a reply is stopped at any stage; None when nothing stops it."""
    soon = facts.now + RETRY_HOLD
    if facts.paused:
        return Hold(soon, "paused by the operator")
    if not policy.enabled:
        return Hold(soon, "replies are switched off")
    if policy.dry_run:
        reason = "dry run"
        return Hold(soon, reason) if facts.half_out else Stop(ReplyState.DRY_RUN, reason)
    if facts.half_out:
        opted_out = Stop(ReplyState.CANCELLED, "opted out: the rest stays")
        return opted_out if facts.opted_out else None
    if policy.approval and not facts.approved:
        return Stop(ReplyState.AWAITING_APPROVAL, "approval was switched on")
    return None


def _within_limits(facts: ReplyFacts, policy: Policy) -> Answer:
    if (until := policy.quiet_until(facts.now)) is not None:
        return Hold(until, "quiet hours")
    reached = caps.reached(policy, facts.sent_today, facts.sent_to_author_today)
    return Hold(policy.day(facts.now)[1], reached) if reached else Go()
