"""The cost of a poll that brings nothing new, with few and with many posts already stored."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event

from bench.network import network
from bench.service import TRACK, Service, service
from bench.table import Row, rss_mb, show, timed
from bot.events import Author, Media, Post
from storage import dataset

REPEAT = 20
SEEN = 50
BATCH = 500


def fill(it: Service, total: int) -> None:
    """Older posts of the same hashtag, straight into the tables."""
    now = datetime.now(UTC)
    for start in range(0, total, BATCH):
        with it.app.database.write() as session:
            for number in range(start, min(start + BATCH, total)):
                author = Author("instagram", str(number % 5000), f"old{number % 5000}")
                taken = now - timedelta(days=30, seconds=number)
                post = Post(
                    "instagram",
                    f"old{number}",
                    author,
                    taken,
                    f"https://x/{number}",
                    caption=f"#bench {number}",
                    hashtags=("bench",),
                    media=(Media(0, "https://x/x.jpg"),),
                )
                row = dataset.add(session, post, [], now)
                dataset.found_by(session, row, TRACK.key, "bench", "", now)


def main() -> None:
    rows, statements = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with network(folder / "network", SEEN) as addresses:
            for stored in (1_000, 100_000):
                with service(folder / str(stored), addresses, 200) as it:
                    fill(it, stored - SEEN)
                    it.poller.poll(it.platform, TRACK, it.policy, it.us)
                    count = 0

                    def seen(*_: object) -> None:
                        nonlocal count
                        count += 1

                    event.listen(it.app.database.engine, "before_cursor_execute", seen)
                    times = timed(
                        lambda it=it: it.poller.poll(it.platform, TRACK, it.policy, it.us), REPEAT
                    )
                    statements.append(count / (REPEAT + 1))
                    target = "as with 1,000" if stored > 1_000 else ""
                    label = f"poll, {stored:,} posts stored"
                    rows.append(Row(label, times, rss_mb=rss_mb(), target=target))
    show("A poll that brings nothing new (50 posts listed)", rows, baseline=rows[0].name)
    few, many = statements
    print(f"\nSQL statements a poll: {few:.0f} with 1,000 stored, {many:.0f} with 100,000")


main()
