"""The figures of the console over time, among 100,000 posts and 30,000 replies.

`--postgres URL` asks the same there; `--posts N` of fewer.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from bench.search import bulk
from bench.table import Row, show, timed
from bot.core.clock import utc_now
from bot.verbs.figures import COUNTED, span_of
from storage import texts
from storage.database import Database
from storage.series import Unit
from storage.tables import LimitHour, PostRow, Reply, ReplyEvent

YEAR = timedelta(days=365)
RAW = {"text": "x" * 1500}  # as large as what platforms send
STATES = ("queued", "rendering", "awaiting_approval", "approved", "sending")


def fill(database: Database, posts: int) -> None:
    """Over a year: posts, a reply to three in ten of them, six changes of each, limits by hour."""
    r, now = random.Random(0), utc_now()
    with database.write() as session:
        texts.drop(session.connection())
    for start in range(1, posts + 1, 10_000):
        rows: dict[Any, list[dict[str, Any]]] = {PostRow: [], Reply: [], ReplyEvent: []}
        for n in range(start, min(start + 10_000, posts + 1)):
            _post(rows, n, now - YEAR + YEAR * (n / posts), r)
        _write(database, rows)
    hours = [
        now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=n) for n in range(8760)
    ]
    used = {"taken": 30, "fewest": 4.0, "waits": 1, "waited": 3.0, "pauses": 0, "paused": 0.0}
    _write(
        database,
        {
            LimitHour: [
                {"account": "main", "action": action, "hour": hour, **used}
                for hour in hours
                for action in ("read", "media", "login", "photo", "comment", "delete")
            ]
        },
    )
    with database.writer.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


def _post(rows: dict[Any, list[dict[str, Any]]], n: int, seen: Any, r: random.Random) -> None:
    taken = seen - timedelta(seconds=r.lognormvariate(4, 1))
    rows[PostRow].append(
        {
            "id": n, "platform": "instagram", "post_id": f"p{n}", "author_id": f"{n % 5000}",
            "url": f"https://x/{n}", "caption": "words of a caption " * 8, "raw": RAW,
            "content_hash": "", "pinned": False, "taken_at": taken, "first_seen": seen,
            "last_seen": seen,
        }
    )  # fmt: skip
    if r.random() >= 0.3:
        return
    sent = seen + timedelta(seconds=r.lognormvariate(3, 1))
    state = "sent" if r.random() < 0.8 else "rejected"
    rows[Reply].append(
        {
            "id": n, "platform": "instagram", "account": "main", "source_post": f"p{n}",
            "source_url": "", "post": n, "author_id": f"{n % 5000}", "track": "t", "trigger": "m",
            "style": "echo", "text": "", "media_index": 0, "state": state, "reason": "", "seed": 0,
            "created": seen, "updated": sent, "expires_at": sent, "not_before": seen,
            "approved_by": "eva", "sent_at": sent if state == "sent" else None, "mode": "",
            "url": "", "attempts": 0, "facts": {"stages": "y" * 600},
        }
    )  # fmt: skip
    for old, new in zip(("", *STATES), (*STATES, state), strict=True):
        change = {"reply": n, "at": sent if new != "queued" else seen, "old": old, "new": new}
        rows[ReplyEvent].append(change | {"who": "worker", "why": ""})


def _write(database: Database, rows: dict[Any, list[dict[str, Any]]]) -> None:
    with database.writer.begin() as connection:
        for table, values in rows.items():
            if not database.sqlite:
                connection.execute(insert(table), values)
                continue
            plain = [
                {k: str(v) if isinstance(v, dict) else v for k, v in row.items()} for row in values
            ]
            bulk(connection, table, plain)


def tables(database: Database, posts: int, repeat: int) -> None:
    now, found = utc_now(), []
    for name, days, by in (("a week by hour", 7, Unit.HOUR), ("a year by day", 364, Unit.DAY)):
        span = span_of(now - timedelta(days=days), now, by, now)
        for which, (count, _) in COUNTED.items():

            def ask(count: Any = count, span: Any = span) -> None:
                with database.read() as session:
                    count(session, span)

            found.append(Row(f"{which.value}, {name}", timed(ask, repeat), target="p95 ≤ 300 ms"))
    kind = "SQLite" if database.sqlite else "PostgreSQL"
    show(f"Figures over time, {posts:,} posts, {kind}", found)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--postgres", default="", help="the URL of an empty database")
    said = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = said.postgres or f"sqlite:///{Path(folder) / 'tagecho.db'}"
        database = Database(url)
        database.migrate()
        fill(database, said.posts)
        tables(database, said.posts, said.repeat)
        database.close()


if __name__ == "__main__":
    main()
