"""A stored stream of made pictures, for the tests of datasets, exports and imports."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil
from pydantic import SecretStr
from sqlmodel import col, select

from bot.config import Settings
from bot.config.settings import Data
from bot.core.events import Author, Media, MediaKind
from bot.service.app import App
from models.images.codec import png_mask
from storage import blobs, dataset
from storage.dataset import Fetched
from storage.tables import Artifact, Curation, LabelScore, MediaRow, MediaState, Verdict
from tests.databases import NOW, make_post

SIZE = (64, 48)  # width, height


def settings_at(folder: Path, url: str = "") -> Settings:
    secret = SecretStr(url) if url and not url.startswith("sqlite") else None
    return Settings(data=Data(dir=folder / "data", url=secret))


def picture(seed: int, size: tuple[int, int] = SIZE, kind: str = "JPEG", **save: Any) -> bytes:
    """Smooth colours, another for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    Pil.fromarray(small).resize(size, Pil.Resampling.BICUBIC).save(file, kind, **save)
    return file.getvalue()


def disc(size: tuple[int, int] = SIZE) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A round mask in the middle of an image of (width, height)."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    inside = (columns - width / 2) ** 2 + (rows - height / 2) ** 2 < (min(size) / 3) ** 2
    return np.asarray(inside, dtype=np.bool_)


def put(
    app: App,
    name: str,
    user: str = "u1",
    tags: tuple[str, ...] = ("hoodie",),
    *,
    images: list[bytes] | None = None,
    track: str = "",
    into: str = "",
    taken: datetime | None = None,
    kind: MediaKind = MediaKind.PHOTO,
    size: tuple[int, int] = SIZE,
    mime: str = "image/jpeg",
    **changes: Any,
) -> list[int]:
    """Store a post of one picture (or of these). Returns the ids of its media."""
    data = images or [picture(abs(hash_of(name)), size)]
    media = tuple(Media(i, f"https://m/{name}/{i}", kind) for i in range(len(data)))
    author = Author("instagram", user, f"name-{user}")
    taken_at = taken or NOW - timedelta(days=1)
    post = make_post(name, author=author, hashtags=tags, media=media, taken_at=taken_at, **changes)
    fetched = [
        Fetched(item, MediaState.STORED, app.originals.put(raw), len(raw), mime, *size)
        for item, raw in zip(media, data, strict=True)
    ]
    with app.database.write() as session:
        row = dataset.add(session, post, fetched, NOW)
        if track or into:
            dataset.found_by(session, row, track or "main:hashtag:x", into, "", NOW)
        rows = select(MediaRow.id).where(MediaRow.post == row).order_by(col(MediaRow.index))
        return [one or 0 for one in session.exec(rows)]


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode()[-6:], "big")


def fit(app: App, post: int, hashtag: str, probability: float) -> None:
    with app.database.write() as session:
        session.merge(
            LabelScore(
                post=post,
                hashtag=hashtag,
                method="combined",
                probability=probability,
                model_version="net-1",
                computed_at=NOW,
            )
        )


def judge(app: App, media: int, *checks: str, original: int | None = None) -> None:
    """As `tagecho curate` would."""
    with app.database.write() as session:
        session.merge(
            Curation(
                media=media, version="c1", scores={"blur": 0.5}, original=original, computed_at=NOW
            )
        )
        for check in checks:
            session.merge(
                Verdict(media=media, check=check, score=1, reason="", version="c1", computed_at=NOW)
            )


def mask(
    app: App,
    media: int,
    size: tuple[int, int] = SIZE,
    version: str = "seg-1",
    data: bytes | None = None,
) -> None:
    """As a rendered reply leaves one behind: a disc, or this PNG."""
    data = data or png_mask(disc(size))
    sha256 = app.artifacts.put(data)
    with app.database.write() as session:
        source = session.get_one(MediaRow, media).sha256 or ""
        blobs.link(session, sha256, len(data), "image/png", NOW)
        session.add(
            Artifact(
                key=f"mask-{media}",
                stage="segment",
                sha256=sha256,
                source_sha256=source,
                facts={"version": version, "confidence": 0.9},
                created=NOW,
            )
        )


def add_image(
    app: App, name: str, data: bytes, days: int = 0, tags: tuple[str, ...] = ("sunset",)
) -> int:
    """One post of one image; its media id."""
    with Pil.open(io.BytesIO(data)) as image:
        size = image.size
    item = Media(0, f"https://m/{name}")
    post = make_post(
        name,
        author=Author("instagram", f"u-{name}", name),
        hashtags=tags,
        media=(item,),
        taken_at=NOW + timedelta(days=days),
    )
    sha256 = app.originals.put(data)
    fetched = Fetched(item, MediaState.STORED, sha256, len(data), "image/jpeg", *size)
    with app.database.write() as session:
        row = dataset.add(session, post, [fetched], NOW)
        return session.exec(select(MediaRow.id).where(MediaRow.post == row)).one() or 0
