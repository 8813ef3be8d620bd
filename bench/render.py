"""Trigger to rendered reply: decode, super-resolve, segment, compose, encode; all rows committed.

The baseline does what a script without networks would: decode, Lanczos to 1080 px, encode.
"""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import PIL.Image

from bench.table import Row, peak_rss_mb, quantile, rss_mb, show, timed
from bot.config import Data, Settings
from bot.core.clock import utc_now
from bot.core.events import Author, Media, Post
from bot.flow.policy import Policy
from bot.flow.render import Renderer
from bot.platforms import registry
from bot.platforms.sandbox.photos import Gallery
from bot.service.app import App, ServingStages
from bot.service.observe import configure_logs
from storage import dataset, outbox
from storage.dataset import Fetched, Stored
from storage.tables import MediaState, Reply

REPEAT = 12


def photo(side: int, number: int, folder: Path) -> bytes:
    """A real photo, its short side `side` px, different for every number."""
    gallery = Gallery(folder, 0)
    with PIL.Image.open(io.BytesIO(gallery.read(gallery.pick(number).key))) as source:
        image = source.convert("RGB")
    factor = side / min(image.size)
    image = image.resize((round(image.width * factor), round(image.height * factor)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def add_reply(app: App, data: bytes, number: int) -> Reply:
    now = utc_now()
    author = Author("instagram", str(number), f"person{number}")
    media = Media(0, "https://example.invalid/x.jpg")
    post = Post(
        "instagram",
        str(number),
        author,
        datetime.now(UTC),
        "https://example.invalid/p/",
        media=(media,),
    )
    sha256 = app.originals.put(data)
    image = Fetched(media, MediaState.STORED, sha256, len(data), "image/jpeg")
    with app.database.write() as session:
        row = dataset.add(session, post, [image], now)
        request = outbox.Request(
            source=Stored(row, post),
            account="main",
            track="t",
            trigger="track",
            style="spotlight",
            media_index=0,
            seed=number,
            expires_at=now + timedelta(days=1),
        )
        reply_id = outbox.queue(session, request, now)
    with app.database.read() as session:
        return session.get_one(Reply, reply_id)


def plain(data: bytes) -> None:
    with PIL.Image.open(io.BytesIO(data)) as source:
        image = source.convert("RGB")
    height = round(1080 * image.height / image.width)
    large = image.resize((1080, height), PIL.Image.Resampling.LANCZOS)
    large.save(io.BytesIO(), "JPEG", quality=92)


def main() -> None:
    configure_logs("error", "text")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data=Data(dir=folder / "data"))
        app, stages = App(settings), ServingStages(settings)
        renderer = Renderer(app.database, app.originals, app.artifacts, stages, registry.ways)
        policy, number = Policy(), 0
        for side in (320, 700, 1080):
            times = []
            for index in range(REPEAT + 2):
                data = photo(side, index, folder)
                number += 1
                reply = add_reply(app, data, number)
                took = timed(lambda reply=reply: renderer.render(reply, policy), 1, warm_up=0)
                times += took if index >= 2 else []
            target = "p95 ≤ 1500 ms" if side != 700 else ""
            rows = [
                Row(f"plain resize, {side} px", timed(lambda data=data: plain(data), REPEAT)),
                Row(f"render, {side} px", times, rss_mb=rss_mb(), target=target),
            ]
            show(f"Render a reply from a photo of {side} px", rows, baseline=rows[0].name)
        again = timed(lambda: renderer.render(reply, policy), REPEAT)
        show("The same reply again (all stages kept)", [Row("render, kept", again)])
        busy = rss_mb()
        stages.runtime.close()
        idle = rss_mb()
        print(
            f"\nThis process: {peak_rss_mb():.0f} MB at most, {busy:.0f} MB with the networks "
            f"loaded, {idle:.0f} MB after eviction; p95 of all stages "
            f"{quantile(times, 0.95):.0f} ms"
        )
        app.close()


main()
