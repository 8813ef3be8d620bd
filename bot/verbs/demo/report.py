"""What a run came to: counted by the network where it can be."""

from __future__ import annotations

from typing import Any

from sqlmodel import func, select

from bot.verbs.demo.loopback import Loopback
from storage import dataset, outbox
from storage.database import Database
from storage.tables import Reply, ReplyState


def summary(network: Loopback, database: Database, peak: float) -> dict[str, Any]:
    with database.read() as session:
        counts = dataset.counts(session)
        states = outbox.states(session)
        triggers = session.exec(select(func.count()).select_from(Reply)).one()
        times = session.exec(
            select(Reply.created, Reply.sent_at).where(Reply.state == ReplyState.SENT)
        ).all()
    seconds = sorted((sent - made).total_seconds() for made, sent in times if sent)
    replies = network.ask("/replies")
    return {
        "posts_stored": counts["posts"],
        "triggers": triggers,
        "replies": states,
        "duplicate_replies": replies["duplicates"],
        "latency_s": {"p50": _quantile(seconds, 0.5), "p95": _quantile(seconds, 0.95)},
        "peak_rss_mb": round(peak, 1),
    }


def plain(value: Any) -> str:
    """A figure as people read it; of several, those that say something."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part) or "none"
    return str(value)


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
