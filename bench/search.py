"""Search among a million posts and a quarter of a million vectors.

The posts are made up (a Zipf vocabulary, one in ten Chinese, one tag in 30 % of them) and kept in
TAGECHO_BENCH_SEARCH, if that names a folder, for the next run. `--postgres URL` asks the same of
100,000 posts there, `--posts N` and `--vectors N` of fewer; `--cpu` counts this process alone.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import delete, text
from sqlmodel import col

from bench.table import Row, rss_mb, show
from bot.verbs.image_index import ImageIndex
from models.resemblance import Space
from storage import search, texts, tokens
from storage.database import Database
from storage.search import Filters
from storage.tables import LabelScore, MediaRow, PostHashtag, PostRow, SearchText, Verdict
from storage.vectors import VectorIndex

START = datetime(2015, 1, 1, tzinfo=UTC)
APART = timedelta(minutes=5)
CHUNK = 20_000
DIMENSIONS = 128
EACH = 25  # questions of each kind
HAN = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
)


class World:
    """The same posts for the same number."""

    def __init__(self) -> None:
        self.words = [f"w{n:x}" for n in range(50_000)]
        self.often = list(itertools.accumulate(1 / (n + 5) for n in range(50_000)))
        self.names, self.liked = self.words[:5000], self.often[:5000]

    def post(self, n: int) -> tuple[str, list[str], int]:
        """Caption, hashtags, author."""
        r = random.Random(n)
        tags = r.choices(self.names, cum_weights=self.liked, k=4) + ["hoodie"] * (r.random() < 0.3)
        words = "".join(r.choices(HAN, k=30)) if n % 10 == 0 else self.line(r)
        return f"{words} {' '.join('#' + tag for tag in tags)}", tags, r.randrange(50_000)

    def line(self, r: random.Random) -> str:
        return " ".join(r.choices(self.words, cum_weights=self.often, k=16))


def fill(database: Database, count: int, world: World) -> None:
    """Straight into the tables, the full-text table afterwards."""
    with database.write() as session:
        texts.drop(session.connection())
    for start in range(1, count + 1, CHUNK):
        rows: dict[Any, list[dict[str, Any]]] = {
            t: [] for t in (PostRow, PostHashtag, MediaRow, LabelScore, Verdict, SearchText)
        }
        for n in range(start, min(start + CHUNK, count + 1)):
            one(rows, n, world, database.sqlite)
        with database.writer.begin() as connection:
            for table, values in rows.items():
                if values:
                    bulk(connection, table, values)
    with database.write() as session:
        texts.follow(session.connection())
        texts.stamp(session.connection())
    with database.writer.begin() as connection:
        if not database.sqlite:
            connection.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence('posts', 'id'), max(id)) FROM posts"
            )
        connection.exec_driver_sql("ANALYZE")
    if not database.sqlite:  # as autovacuum would in a while
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
            plain.exec_driver_sql("VACUUM")


def bulk(connection: Any, table: Any, values: list[dict[str, Any]]) -> None:
    """Past SQLAlchemy, which would take as long again for its types; PostgreSQL by COPY."""
    names = list(values[0])
    if connection.dialect.name != "sqlite":
        columns = ", ".join(f'"{name}"' for name in names)
        into = f"COPY {table.__tablename__} ({columns}) FROM STDIN"
        with connection.connection.cursor().copy(into) as copy:
            for row in values:
                copy.write_row(["{}" if v == {} else v for v in row.values()])
        return
    plain = [
        tuple(
            f"{v:%Y-%m-%d %H:%M:%S.%f}" if isinstance(v, datetime) else "{}" if v == {} else v
            for v in row.values()
        )
        for row in values
    ]
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    connection.connection.cursor().executemany(
        f"INSERT INTO {table.__tablename__} ({columns}) VALUES ({marks})", plain
    )


def one(rows: dict[Any, list[dict[str, Any]]], n: int, world: World, sqlite: bool) -> None:
    caption, tags, author = world.post(n)
    taken = START + n * APART
    rows[PostRow].append(
        {
            "id": n,
            "platform": "instagram",
            "post_id": f"p{n}",
            "author_id": f"{author}",
            "url": f"https://x/{n}",
            "caption": caption,
            "raw": {},
            "content_hash": "",
            "pinned": False,
            "taken_at": taken,
            "first_seen": taken,
            "last_seen": taken,
        }
    )
    rows[PostHashtag] += [{"post": n, "hashtag": tag} for tag in dict.fromkeys(tags)]
    side = 4000 if n % 1000 == 0 else 640 + n * 7919 % 1400
    rows[MediaRow].append(
        {
            "id": n,
            "post": n,
            "index": 0,
            "kind": "photo",
            "url": "",
            "state": "stored",
            "reason": "",
            "attempts": 1,
            "sha256": f"{n:064x}",
            "width": side,
            "height": side,
            "notes": "",
        }
    )
    if "hoodie" in tags:
        score = {"post": n, "hashtag": "hoodie", "method": "combined", "model_version": "m"}
        rows[LabelScore].append(score | {"probability": n % 97 / 97, "computed_at": taken})
    if n % 3 == 0:
        verdict = {"media": n, "check": "blur", "score": 0.1, "reason": "", "version": "1"}
        rows[Verdict].append(verdict | {"computed_at": taken})
    document = texts.Document([tokens.words(" ".join(tags)), tokens.words(caption)])
    document.marks = set(map(tokens.hashtag, tags)) | tokens.runs(caption)
    document.marks |= {
        texts.author_mark("instagram", f"{author}"),
        texts.platform_mark("instagram"),
    }
    rows[SearchText].append(
        {
            "key": texts.key_of(taken, n),
            "post": n,
            "document": document.line() if sqlite else document.vector(),
        }
    )


def questions(
    world: World, count: int
) -> dict[str, Callable[[random.Random], tuple[str, Filters]]]:
    def rare(r: random.Random) -> str:
        return world.words[r.randrange(5_000, 50_000)]

    def often(r: random.Random) -> str:
        return world.words[r.randrange(30)]

    def han(r: random.Random) -> str:
        return "".join(r.choices(HAN, k=2))

    def days(r: random.Random) -> Filters:
        since = START + r.randrange(count) * APART
        return Filters(since=since, until=since + timedelta(days=30))

    def author(r: random.Random) -> Filters:
        return Filters(author=("instagram", f"{r.randrange(50_000)}"))

    return {
        "tag in 30 % of the posts": lambda r: ("#hoodie", Filters()),
        "its word": lambda r: ("hoodie", Filters()),
        "its word and a rare one": lambda r: (f"hoodie {rare(r)}", Filters()),
        "one word": lambda r: (world.words[r.randrange(50_000)], Filters()),
        "two common words": lambda r: (f"{often(r)} {often(r)}", Filters()),
        "phrase": lambda r: (f'"{often(r)} {often(r)}"', Filters()),
        "prefix of 3": lambda r: (f"w{r.randrange(16, 256):x}*", Filters()),
        "two Chinese characters": lambda r: (han(r), Filters()),
        "one Chinese character": lambda r: (r.choice(HAN), Filters()),
        "common without common": lambda r: (f"hoodie -{often(r)}", Filters()),
        "no such word": lambda r: (f"zz{r.random()}", Filters()),
        "filter: tag, 30 days": lambda r: ("#hoodie", days(r)),
        "filter: tag, author": lambda r: ("#hoodie", author(r)),
        "filter: tag, clean, ≥ 1200 px": lambda r: ("#hoodie", Filters(size=1200, clean=True)),
        "filter: tag, fit ≥ 0.9": lambda r: ("", Filters(hashtags=("hoodie",), fit=0.9)),
        "filter: word, ≥ 4000 px (0.1 %)": lambda r: (often(r), Filters(size=4000)),
    }


def text_tables(database: Database, world: World, count: int) -> None:
    rows: list[Row] = []
    everything: list[float] = []
    filtered: list[float] = []
    for name, make in questions(world, count).items():
        r, times = random.Random(name), []
        with database.read() as session:
            for n in range(EACH + 2):
                query, filters = make(r)
                began = CLOCK()
                search.posts(session, search.parse(query), filters)
                if n >= 2:
                    times.append((CLOCK() - began) * 1000)
        (filtered if name.startswith("filter") else everything).extend(times)
        rows.append(Row(name, times))
    rows.append(Row("text, all of them", everything, rss_mb=rss_mb(), target="p95 ≤ 50 ms"))
    rows.append(Row("filtered, all of them", filtered, target="≤ 50 ms"))
    r, likes, ranked = random.Random(0), [], []
    with database.read() as session:
        for _ in range(3):
            word = world.words[r.randrange(5_000, 50_000)]
            began = CLOCK()
            session.connection().execute(
                text("SELECT id FROM posts WHERE caption LIKE :w ORDER BY taken_at DESC LIMIT 20"),
                {"w": f"%{word} %"},
            ).all()
            likes.append((CLOCK() - began) * 1000)
            began = CLOCK()
            search.posts(session, search.parse("hoodie"), relevance=True)
            ranked.append((CLOCK() - began) * 1000)
    rows.append(Row("the 30 % word by relevance (of the 10,000 newest)", ranked))
    rows.append(Row("baseline: LIKE '%word%'", likes))
    kind = "SQLite" if database.sqlite else "PostgreSQL"
    show(f"Text search, {count:,} posts, {kind}, newest first", rows, "baseline: LIKE '%word%'")


def vectors(count: int, seed: int, size: int = DIMENSIONS) -> Any:
    """Unit vectors near a curved surface of 24 dimensions, with noise, as features are."""
    shape = np.random.default_rng(0)
    a, b = shape.normal(size=(24, 256)), shape.normal(size=(256, size))
    r = np.random.default_rng(seed)
    found = np.tanh(r.normal(size=(count, 24)) @ a / 3) @ b
    found += 0.5 * r.normal(size=found.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def image_tables(database: Database, folder: Path, count: int, posts: int) -> None:
    index = VectorIndex(folder, DIMENSIONS)
    names = [f"{1 + n * posts // count:064x}" for n in range(count)]
    if len(index) != count:
        index.add(names, vectors(count, 1))
    if index.due():
        began = CLOCK()
        index.build()
        print(f"\ngraph of {count:,} vectors built in {CLOCK() - began:.0f} s")
    stored, queries = np.array(vectors(count, 1)), vectors(200, 2)
    plain, cold, hits = [], [], 0
    for query in queries:
        index.nearest(query, 10)  # pages come into memory
    nearest = [_spent(index, query)[0] for query in queries]
    for query in queries:
        began = CLOCK()
        best = np.argpartition(-(stored @ query), 10)[:10]
        plain.append((CLOCK() - began) * 1000)
        spent, found = _spent(index, query)
        cold.append(spent)
        hits += len({names[n] for n in best} & {name for name, _ in found})
    recall = hits / 10 / len(queries)
    alike = ImageIndex(
        database, folder.parent, "bench", lambda: np.empty((0, DIMENSIONS), np.float32)
    )
    alike.index = index
    zero, eye = np.zeros(DIMENSIONS, np.float32), np.eye(DIMENSIONS, dtype=np.float32)
    alike.space = Space(zero, eye, -1.0, np.empty((0, DIMENSIONS), np.float32))
    rows = [
        Row("baseline: all in memory, exact", plain),
        Row("nearest 10", nearest, target=f"p50 ≤ 1 ms; recall@10 {recall:.4f}, ≥ 0.999"),
        Row("nearest 10, each after the baseline has emptied the caches", cold),
    ]
    kinds = {
        "with the check in the database": Filters(),
        "filter: author (20 posts)": Filters(author=("instagram", "77")),
        "filter: tag in 30 %": Filters(hashtags=("hoodie",)),
        "filter: clean, ≥ 1200 px": Filters(size=1200, clean=True),
        "filter: ≥ 4000 px (0.1 %)": Filters(size=4000),
    }
    for name, filters in kinds.items():
        times = []
        for query in queries[:EACH]:
            began = CLOCK()
            alike.similar(query, 10, (), filters)
            times.append((CLOCK() - began) * 1000)
        rows.append(Row(name, times, target="≤ 50 ms" if "filter" in name else ""))
    show(f"Image search, {count:,} vectors of {DIMENSIONS}", rows, rows[0].name)


def _spent(index: VectorIndex, query: Any) -> tuple[float, list[tuple[str, float]]]:
    """Milliseconds, and the ten nearest."""
    began = CLOCK()
    found = index.nearest(query, 10)
    return (CLOCK() - began) * 1000, found


def ingest_table(database: Database, count: int) -> None:
    """What indexing adds to storing a post: 16 in a transaction, as a poll stores them."""
    from storage import dataset
    from tests.databases import NOW, make_post

    def store(first: int) -> float:
        began = CLOCK()
        with database.write() as session:
            for n in range(first, first + 16):
                caption = WORLD.post(n)[0]
                dataset.add(session, make_post(f"new{n}", caption=caption, taken_at=NOW), [], NOW)
        return (CLOCK() - began) * 1000 / 16

    def plain(first: int) -> float:
        index, texts.index = texts.index, lambda *_: None
        try:
            return store(first)
        finally:
            texts.index = index

    starts = itertools.count(10 * count, 16)
    store(next(starts))
    rows = [("without the index", plain), ("with it", store)]
    times: dict[str, list[float]] = {name: [] for name, _ in rows}
    for _ in range(30):
        for name, work in rows:
            times[name].append(work(next(starts)))
    show(
        f"Storing a post beside {count:,}",
        [Row(name, values) for name, values in times.items()],
        "without the index",
    )
    with database.write() as session:
        session.execute(delete(PostRow).where(col(PostRow.post_id).startswith("new")))


WORLD = World()
CLOCK = time.perf_counter


@contextlib.contextmanager
def kept() -> Iterator[Path]:
    if named := os.environ.get("TAGECHO_BENCH_SEARCH"):
        Path(named).mkdir(parents=True, exist_ok=True)
        yield Path(named)
    else:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--posts", type=int, default=1_000_000)
    arguments.add_argument("--vectors", type=int, default=250_000)
    arguments.add_argument("--postgres", default="")
    arguments.add_argument(
        "--cpu", action="store_true", help="time of this process alone: for a busy machine"
    )
    asked = arguments.parse_args()
    if asked.cpu:
        global CLOCK  # noqa: PLW0603 - one for all tables
        CLOCK = time.process_time
        print("\nTimes are those of this process alone, without waiting for a core or the disk.")
    with kept() as folder:
        if asked.postgres:
            measure(Database(asked.postgres), min(asked.posts, 100_000))
            return
        path = folder / f"{asked.posts}.db"
        database = Database(f"sqlite:///{path}")
        measure(database, asked.posts)
        image_tables(database, folder / f"vectors-{asked.vectors}", asked.vectors, asked.posts)


def measure(database: Database, count: int) -> None:
    database.migrate()
    with database.read() as session:
        ready = texts.complete(session) and search.posts(session, (), Filters())
    if not ready:
        began = CLOCK()
        fill(database, count, WORLD)
        print(f"\n{count:,} posts stored and indexed in {CLOCK() - began:.0f} s")
    text_tables(database, WORLD, count)
    ingest_table(database, count)


if __name__ == "__main__":
    main()
