"""Images a second out of a snapshot, per format; the baseline copies the same files.

2000 pictures of about 83 kB, as an ingest stores them. With masks: PNG, run lengths and polygons of
a mask at 1080 px, read from the artifacts a service leaves behind.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from bench.table import Row, peak_rss_mb, show
from bot import datasets, snapshots
from bot.app import App
from bot.config import Settings
from bot.config.settings import Data
from bot.events import Author, Media, Post
from bot.export import FORMATS, Options, export
from bot.status import opened
from models.images import png_mask
from storage import blobs, dataset
from storage.dataset import Fetched
from storage.tables import Artifact, MediaState

IMAGES = 2000
MASKED = 400
SIZE = (1080, 810)
ROUNDS = 3
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


def mask() -> bytes:
    """An object with a wavy outline."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    y, x = rows - SIZE[1] / 2, columns - SIZE[0] / 2
    edge = 300 + 25 * np.sin(9 * np.arctan2(y, x))
    return png_mask(np.hypot(x, y) < edge)


def fill(app: App) -> int:
    """Posts of four pictures. Returns the bytes of all."""
    some, drawn, size = photos(), mask(), 0
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
                sha256 = app.artifacts.put(drawn)
                for image in images:
                    blobs.link(session, sha256, len(drawn), "image/png", NOW)
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


def copy(source: Path, target: Path) -> float:
    """Images a second of shutil.copyfile into one folder."""
    files = [path for path in source.rglob("*") if path.is_file()]
    target.mkdir()
    began = time.perf_counter()
    for path in files:
        shutil.copyfile(path, target / path.name)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return len(files) / seconds


def rate(settings: Settings, name: str, kind: str, out: Path) -> float:
    result = export(settings, name, Options(kind, out))
    shutil.rmtree(out)
    return result.items / result.seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(data=Data(dir=folder / "data", url=None))
        with opened(settings) as app:
            size = fill(app)
        split = {"train": 0.8, "val": 0.1, "test": 0.1}
        datasets.create(
            settings, "all", {"any_hashtags": ["hoodie"], "no_hashtags": ["masked"]}, replace=False
        )
        datasets.create(settings, "masked", {"any_hashtags": ["masked"]}, replace=False)
        for which in ("all", "masked"):
            snapshots.freeze(settings, which, "", split, 0)
        originals = settings.data.dir / "originals"
        plain = [copy(originals, folder / "copy") for _ in range(ROUNDS)]
        rows = [Row("plain copy", plain, unit="images/s")]
        for which, kinds in (("all", [k for k in FORMATS if k != "yolo"]), ("masked", FORMATS)):
            for kind in kinds:
                rates = [rate(settings, which, kind, folder / "out") for _ in range(ROUNDS)]
                note = ", with masks" if which == "masked" else ""
                target = "" if note else "≥ 200 images/s"
                rows.append(Row(kind + note, rates, unit="images/s", target=target))
    print(f"\n{IMAGES} images of {size / IMAGES / 1000:.0f} kB, {MASKED} of them with masks")
    show("Export", rows, baseline="plain copy")
    print(f"\nThis process at most: {peak_rss_mb():.0f} MB")


if __name__ == "__main__":
    main()
