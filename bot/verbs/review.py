"""What a person wants to know of a reply before they decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.config import Settings
from bot.flow.publisher import text_of
from bot.platforms import registry
from bot.service.app import App, policy_of
from bot.verbs.replies import VERBS, details
from storage.tables import AuthorRow, PostRow, Reply, ReplyState

S = ReplyState
TO_DECIDE = (S.AWAITING_APPROVAL, S.UNKNOWN)  # these wait for a person
# In which states what may be said; the functions of `storage` decide, this only offers.
OFFERS: dict[str, frozenset[ReplyState]] = {
    "approve": frozenset({S.AWAITING_APPROVAL, S.UNKNOWN}),
    "reject": frozenset({S.AWAITING_APPROVAL, S.APPROVED, S.UNKNOWN}),
    "redo": frozenset({S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED}),
    "retry": frozenset({S.FAILED}),
    "cancel": frozenset({S.QUEUED, S.RENDERING, S.AWAITING_APPROVAL, S.APPROVED}),
    "confirm": frozenset({S.UNKNOWN}),
    "undo": frozenset({S.APPROVED, S.REJECTED}),
}


def to_decide(counts: Mapping[str, int]) -> int:
    """How many replies wait for a person, of the numbers of replies by state."""
    return sum(counts[state] for state in TO_DECIDE)


def review(app: App, settings: Settings, reply_id: int) -> dict[str, Any]:
    """All that `replies show` tells, with the post, and with what would be sent where.

    Raises UsageError when there is no such reply.
    """
    found = details(app, reply_id)
    with app.database.read() as session:
        reply = session.get_one(Reply, reply_id)
        post = session.get(PostRow, reply.post) if reply.post is not None else None
        author = session.get(AuthorRow, (reply.platform, reply.author_id))
    state = ReplyState(reply.state)
    return found | {
        "platform": reply.platform,
        "caption": post.caption if post else "",
        "taken_at": post.taken_at if post else None,
        "track": reply.track,
        "expires_at": reply.expires_at,
        "approved_by": reply.approved_by,
        "doubt": reply.facts.get("doubt", ""),
        "timings": timings(reply),
        "will_send": will_send(settings, reply, author.username if author else ""),
        "may": [verb for verb in VERBS if state in OFFERS[verb]],
    }


def timings(reply: Reply) -> dict[str, float]:
    """Seconds of each stage that was computed, and of all."""
    stages = {name: reply.facts.get(name) for name in ("superres", "segment", "compose")}
    found = {
        name: facts["ms"] / 1000
        for name, facts in stages.items()
        if isinstance(facts, dict) and "ms" in facts
    }
    return found | ({"all": reply.facts["seconds"]} if "seconds" in reply.facts else {})


def will_send(settings: Settings, reply: Reply, username: str) -> list[dict[str, str]]:
    """The writes of the first way in which it would be sent now, in order; [] before it is made."""
    platform = registry.find(reply.platform)
    if platform is None or "compose" not in reply.facts:
        return []
    policy, ways = policy_of(settings), platform.ways
    mode = ways.of(policy.modes())[0]
    return [
        {
            "mode": mode.name,
            "meaning": mode.meaning,
            "kind": kind.name,
            "text": text_of(kind, ways, policy, reply, username),
        }
        for kind in ways.plan(mode.name, comment=bool(policy.comment))
    ]
