"""Images a second out of a snapshot, per format; the baseline copies the same files.

By the clock, and by the processor time that this process took: on a machine that others use, too,
only the second says what an export costs.

2000 pictures of about 83 kB, as an ingest stores them. With masks: PNG, run lengths and polygons of
a mask at 1080 px, read from the artifacts a service leaves behind.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from bench.table import Row, peak_rss_mb, show
from bot.config import Settings
from bot.config.settings import Data
from bot.core.events import Author, Media, Post
from bot.dataset import snapshots
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.export.formats import FORMATS
from bot.service.app import App, opened
from bot.verbs import datasets
from models.images.codec import png_mask
from storage import blobs, dataset
from storage.dataset import Fetched
from storage.queries import Query
from storage.tables import Artifact, MediaState

IMAGES = 2000
MASKED = 400
SIZE = (1080, 810)
ROUNDS = 3
BASE, ASKED = "plain copy", "≥ 200 images/s"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def photos() -> list[bytes]:
    """Twenty pictures of about 83 kB; a trailing number makes two thousand files of them."""
    made = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
        noisy = (smooth + rng.normal(0, 7, smooth.shape)).clip(0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(noisy).save(out, "JPEG", quality=62)
        made.append(out.getvalue())
    return made


def mask(waves: int) -> bytes:
    """An object with a wavy outline."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    y, x = rows - SIZE[1] / 2, columns - SIZE[0] / 2
    edge = 300 + 25 * np.sin(waves * np.arctan2(y, x))
    return png_mask(np.hypot(x, y) < edge)


def fill(app: App) -> int:
    """Posts of four pictures. Returns the bytes of all."""
    some, drawn, size = photos(), [mask(waves) for waves in range(3, 20)], 0
    for post in range(IMAGES // 4):
        media = tuple(Media(i, f"https://m/{post}/{i}") for i in range(4))
        images = []
        for one in media:
            number = post * 4 + one.index
            data = some[number % len(some)] + number.to_bytes(4, "big")
            size += len(data)
            sha256 = app.originals.put(data)
            images.append(Fetched(one, MediaState.STORED, sha256, len(data), "image/jpeg", *SIZE))
        author = Author("instagram", str(post % 200), f"name{post % 200}")
        tags = ("hoodie", "masked") if post < MASKED // 4 else ("hoodie",)
        url = f"https://www.instagram.com/p/{post}/"
        stored = Post("instagram", str(post), author, NOW, url, hashtags=tags, media=media)
        with app.database.write() as session:
            dataset.add(session, stored, images, NOW)
            if "masked" in tags:
                data = drawn[post % len(drawn)]
                sha256 = app.artifacts.put(data)
                for image in images:
                    blobs.link(session, sha256, len(data), "image/png", NOW)
                    session.add(
                        Artifact(
                            key=f"{image.sha256}",
                            stage="segment",
                            sha256=sha256,
                            source_sha256=image.sha256 or "",
                            facts={"version": "bench"},
                            created=NOW,
                        )
                    )
    return size


def rates(work: Callable[[], int]) -> tuple[float, float]:
    """Images a second by the clock, and a second of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def copy(source: Path, target: Path) -> int:
    """shutil.copyfile into one folder."""
    files = [path for path in source.rglob("*") if path.is_file()]
    target.mkdir()
    for path in files:
        shutil.copyfile(path, target / path.name)
    return len(files)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data=Data(dir=folder / "data", url=None))
        with opened(settings) as app:
            size = fill(app)
        split = {"train": 0.8, "val": 0.1, "test": 0.1}
        datasets.create(
            settings, "all", Query(any_hashtags=("hoodie",), no_hashtags=("masked",)), replace=False
        )
        datasets.create(settings, "masked", Query(any_hashtags=("masked",)), replace=False)
        for which in ("all", "masked"):
            snapshots.freeze(settings, which, "", split, 0)
        originals, out = settings.data.dir / "originals", folder / "out"
        works: dict[str, Callable[[], int]] = {BASE: lambda: copy(originals, out)}
        for which, note in (("all", ""), ("masked", ", with masks")):
            for kind in FORMATS:
                if kind == "yolo" and not note:
                    continue  # it takes images with a mask only
                options = ExportOptions(kind, out)
                works[kind + note] = lambda w=which, o=options: export(settings, w, o).items
        wall: dict[str, list[float]] = {name: [] for name in works}
        cpu: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(ROUNDS):
            for label, work in works.items():
                by_clock, by_cpu = rates(work)
                wall[label].append(by_clock)
                cpu[label].append(by_cpu)
                shutil.rmtree(out)
    print(f"\n{IMAGES} images of {size / IMAGES / 1000:.0f} kB, {MASKED} of them with masks")
    for title, found in (("by the clock", wall), ("per second of processor time", cpu)):
        rows = [
            Row(label, values, unit="images/s", target="" if label == BASE else ASKED)
            for label, values in found.items()
        ]
        show(f"Export, {title}", rows, baseline=BASE)
    print(f"\nThis process at most: {peak_rss_mb():.0f} MB")


if __name__ == "__main__":
    main()
