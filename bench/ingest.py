"""Posts a second from the loopback network into the dataset: list, download, check, store.

Both processes share the machine. The baseline downloads the same images over one kept connection
and writes them to files: no listing, no check, no database.
"""

from __future__ import annotations

import tempfile
import time
import urllib.parse
from http.client import HTTPConnection
from pathlib import Path

from sqlmodel import col, select

from bench.network import network
from bench.service import Service, service
from bench.table import Row, rss_mb, show
from storage.tables import MediaRow

POSTS = 400
ROUNDS = 3


def ingest(folder: Path, addresses: dict[str, str]) -> tuple[float, float, list[str], int]:
    """Posts a second, RSS, image addresses, and bytes stored."""
    with service(folder, addresses, POSTS) as it:
        began = time.perf_counter()
        polled = it.poller.poll(it.platform, it.watch)
        seconds = time.perf_counter() - began
        assert polled.taken.new == POSTS, polled
        return POSTS / seconds, rss_mb(), *stored(it)


def stored(it: Service) -> tuple[list[str], int]:
    with it.app.database.read() as session:
        rows = session.exec(select(MediaRow).order_by(col(MediaRow.id))).all()
    size = sum(it.app.originals.path(row.sha256).stat().st_size for row in rows if row.sha256)
    return [row.url for row in rows], size


def download(urls: list[str], folder: Path) -> float:
    folder.mkdir()
    host = urllib.parse.urlsplit(urls[0]).netloc
    connection = HTTPConnection(host)
    began = time.perf_counter()
    for number, url in enumerate(urls):
        parts = urllib.parse.urlsplit(url)
        connection.request("GET", f"{parts.path}?{parts.query}")
        (folder / str(number)).write_bytes(connection.getresponse().read())
    seconds = time.perf_counter() - began
    connection.close()
    return len(urls) / seconds


def main() -> None:
    rates, plain, memory, size = [], [], 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with network(folder / "network", POSTS) as addresses:
            for number in range(ROUNDS):
                rate, memory, urls, size = ingest(folder / str(number), dict(addresses))
                rates.append(rate)
                plain.append(download(urls, folder / f"plain{number}"))
    print(f"\n{POSTS} posts, {size / POSTS / 1000:.0f} kB an image")
    show(
        "Ingest from the loopback network",
        [
            Row("download and write only", plain, unit="posts/s"),
            Row("ingest", rates, unit="posts/s", rss_mb=memory, target="≥ 50 posts/s"),
        ],
        baseline="download and write only",
    )


main()
