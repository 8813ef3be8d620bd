"""The console among a million posts, over HTTP: its first page, the grid, more like this.

The posts are those of `bench.search`, and kept with them in TAGECHO_BENCH_SEARCH; `--postgres URL`
asks the same of an empty database there, or of one that was kept with that folder. `--vectors N`:
more like this among so many images. `--cpu`: time of this process alone, which is server, browser
and SQLite.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
from pydantic import SecretStr
from sqlmodel import select

from bench.search import APART, START, World, bulk, fill, kept, vectors
from bench.table import Row, rss_mb, show
from bot import config
from bot.console.server import serving
from bot.core.clock import utc_now
from bot.service.app import App, ServingStages, opened
from storage import search, texts
from storage.database import Database
from storage.search import Filters
from storage.tables import BlobRow, Embedding

CONFIG = '[data]\ndir = "data"\n[console]\nlisten = "127.0.0.1:0"\n'
CHUNK = 5000
PAGES = 40  # of each kind
Ask = Callable[[random.Random], str]


def filled(database: Database, posts: int) -> None:
    database.migrate()
    with database.read() as session:
        ready = texts.complete(session) and search.posts(session, (), Filters())
    if not ready:
        fill(database, posts, World())


def grid_of(posts: int) -> dict[str, Ask]:
    """Addresses that a grid asks for, of any depth."""

    def before(r: random.Random) -> int:
        n = r.randrange(posts // 10, posts)
        return texts.key_of(START + n * APART, n)

    asked = {
        "no filter": "",
        "hashtag on 30 %": "&hashtag=hoodie",
        "a common word": "&text=w3",
        "without any verdict": "&clean=true",
        "verdict blur": "&check=blur",
        "both sides ≥ 1200 px": "&size=1200",
        "hashtag, fit at most .2": "&hashtag=hoodie&doubt=0.2",
    }
    return {
        name: lambda r, query=query: f"/dataset?before={before(r)}{query}"  # type: ignore[misc]
        for name, query in asked.items()
    }


def timed(program: httpx.Client, ask: Ask, count: int = PAGES) -> tuple[list[float], int]:
    """Milliseconds of each answer, and the bytes of the largest."""
    r, times, largest = random.Random(1), [], 0
    for n in range(count + 2):
        address = ask(r)
        began = CLOCK()
        answer = program.get(address).raise_for_status()
        if n >= 2:
            times.append((CLOCK() - began) * 1000)
        largest = max(largest, len(answer.content))
    return times, largest


def pages(program: httpx.Client, posts: int, kind: str) -> None:
    rows, everything = [], []
    for address in ("/", "/replies", "/dataset"):
        times, size = timed(program, lambda _, address=address: address)  # type: ignore[misc]
        asked = f"{size / 1000:.0f} kB; asked: p95 ≤ 300 ms, 300 kB at 100,000"
        rows.append(Row(f"first page {address}", times, target=asked))
    for name, ask in grid_of(posts).items():
        times, _ = timed(program, ask)
        everything += times
        rows.append(Row(f"grid: {name}", times))
    rows.append(Row("grid: all of them", everything, rss_mb=rss_mb(), target="p95 ≤ 100 ms"))
    show(f"Pages of the console, {posts:,} posts, {kind}", rows)


def embed(app: App, posts: int, count: int) -> None:
    """Made vectors for `count` of the images."""
    segmenter = ServingStages(app.settings).segmenter()
    size = segmenter(np.zeros((64, 64, 3), np.uint8)).embedding.size
    with app.database.read() as session:
        known = session.exec(select(Embedding.sha256).limit(1)).first()
    if known is not None:
        return
    made, now = vectors(count, 1, size), utc_now()
    for start in range(0, count, CHUNK):
        names = [f"{1 + n * posts // count:064x}" for n in range(start, min(start + CHUNK, count))]
        blobs = [
            {"sha256": one, "size": 1, "mime": "image/jpeg", "refs": 1, "created": now}
            for one in names
        ]
        found: list[dict[str, Any]] = [
            {
                "sha256": one,
                "model_version": segmenter.version,
                "vector": made[start + n].tobytes(),
                "computed_at": now,
            }
            for n, one in enumerate(names)
        ]
        with app.database.writer.begin() as connection:
            bulk(connection, BlobRow, blobs)
            bulk(connection, Embedding, found)


def add_one(database: Database) -> None:
    """Another image with a vector, as the night's `labels score` adds them."""
    name = f"{time.time_ns():064x}"
    with database.write() as session:
        one = session.exec(select(Embedding).limit(1)).one()
        known = {"size": 1, "mime": "image/jpeg", "refs": 1, "created": one.computed_at}
        session.add(BlobRow(sha256=name, **known))
        session.flush()
        session.add(Embedding(**one.model_dump() | {"sha256": name}))


def alike(program: httpx.Client, app: App, posts: int, count: int, kind: str) -> None:
    def ask(path: str, query: str = "") -> Ask:
        return lambda r: path.format(1 + r.randrange(count) * posts // count) + query

    def after_a_new_one(r: random.Random) -> str:
        add_one(app.database)
        return ask("/dataset?like={}")(r)

    began = CLOCK()
    found = program.get("/api/images/1/alike?limit=60").raise_for_status().json()["images"]
    first = (CLOCK() - began) * 1000
    print(f"\nthe first question found {len(found)}")
    kinds = {
        "more like this: the page": ask("/dataset?like={}"),
        "more like this: the API": ask("/api/images/{}/alike?limit=60"),
        "with a hashtag on 30 %": ask("/dataset?like={}", "&hashtag=hoodie"),
        "the page, after an image was added": after_a_new_one,
        "with ≥ 1200 px and no verdict": ask("/dataset?like={}", "&size=1200&clean=true"),
    }
    rows = [Row(name, timed(program, one)[0], target="≤ 300 ms") for name, one in kinds.items()]
    rows.append(Row("the first of a process; it makes the cache, if there is none", [first]))
    show(f"More like this, {count:,} vectors, {kind}", rows)


CLOCK = time.perf_counter


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--posts", type=int, default=1_000_000)
    arguments.add_argument("--vectors", type=int, default=0)
    arguments.add_argument("--postgres", default="")
    arguments.add_argument("--cpu", action="store_true", help="for a busy machine")
    asked = arguments.parse_args()
    if asked.cpu:
        global CLOCK  # noqa: PLW0603 - one for all tables
        CLOCK = time.process_time
        print("\nTimes are those of this process alone, without waiting for a core or the disk.")
    kind = "PostgreSQL" if asked.postgres else "SQLite"
    with kept() as folder:
        url = asked.postgres or f"sqlite:///{folder / f'{asked.posts}.db'}"
        path = folder / f"console-{kind}-{asked.posts}" / "config.toml"  # keys belong to a database
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONFIG, encoding="utf-8")
        database = Database(url)
        filled(database, asked.posts)
        database.close()
        settings = config.load(path)
        settings = settings.model_copy(
            update={"data": settings.data.model_copy(update={"url": SecretStr(url)})}
        )
        with opened(settings) as app:
            if asked.vectors:
                embed(app, asked.posts, asked.vectors)
            with serving(path, app) as address, httpx.Client(base_url=address) as program:
                program.timeout = httpx.Timeout(600)
                pages(program, asked.posts, kind)
                if asked.vectors:
                    alike(program, app, asked.posts, asked.vectors, kind)


if __name__ == "__main__":
    main()
