"""The cost of a poll that brings nothing new, with few and with many posts already stored."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event, insert

from bench.network import network
from bench.service import TRACK, Service, service
from bench.table import Row, rss_mb, show, timed
from storage.tables import PostHashtag, PostRow, PostTrack

REPEAT = 20
SEEN = 50


def fill(it: Service, total: int) -> None:
    """Older posts of the same hashtag, straight into the tables."""
    now = datetime.now(UTC)
    base = {
        "platform": "instagram",
        "caption": "#bench",
        "raw": {},
        "content_hash": "",
        "pinned": False,
        "first_seen": now,
        "last_seen": now,
    }
    with it.app.database.write() as session:
        posts = [
            base
            | {
                "id": n,
                "post_id": f"old{n}",
                "author_id": str(n % 5000),
                "url": f"https://x/{n}",
                "taken_at": now - timedelta(days=30, seconds=n),
            }
            for n in range(1, total + 1)
        ]
        tracks = [
            {"post": n, "track": TRACK.key, "dataset": "bench", "found_at": now, "decision": ""}
            for n in range(1, total + 1)
        ]
        tags = [{"post": n, "hashtag": "bench"} for n in range(1, total + 1)]
        for table, rows in ((PostRow, posts), (PostTrack, tracks), (PostHashtag, tags)):
            session.execute(insert(table), rows)


def main() -> None:
    rows, statements = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with network(folder / "network", SEEN) as addresses:
            for stored in (1_000, 100_000):
                with service(folder / str(stored), addresses, 200) as it:
                    fill(it, stored - SEEN)
                    it.poller.poll(it.platform, it.watch)
                    count = 0

                    def seen(*_: object) -> None:
                        nonlocal count
                        count += 1

                    event.listen(it.app.database.engine, "before_cursor_execute", seen)
                    times = timed(lambda it=it: it.poller.poll(it.platform, it.watch), REPEAT)
                    statements.append(count / (REPEAT + 1))
                    target = "as with 1,000" if stored > 1_000 else ""
                    label = f"poll, {stored:,} posts stored"
                    rows.append(Row(label, times, rss_mb=rss_mb(), target=target))
    show("A poll that brings nothing new (50 posts listed)", rows, baseline=rows[0].name)
    few, many = statements
    print(f"\nSQL statements a poll: {few:.0f} with 1,000 stored, {many:.0f} with 100,000")


main()
