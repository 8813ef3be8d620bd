"""Stored photos with an object, by people who are held out and people who are not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil

from bot.config import Settings
from bot.config.settings import Data, Learn, Models
from bot.core.events import Author, Media
from bot.service.app import App
from storage import dataset
from storage.dataset import Fetched
from storage.learning import held_out
from storage.tables import MediaState
from tests.databases import NOW, make_post

COLOURS = {"red": (190, 40, 40), "green": (40, 160, 60), "blue": (50, 60, 190)}


def settings_for(tmp_path: Path, **learn: Any) -> Settings:
    small = {"least_images": 20, "batch": 4, "dino_steps": 2, "mask_steps": 2, "nice": 1, **learn}
    return Settings(
        data=Data(dir=tmp_path / "data"), models=Models(threads=1), learn=Learn(**small)
    )


def photo(tag: str, seed: int) -> bytes:
    """(64, 48) JPEG: an ellipse of the hashtag's colour before something grey."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :48]
    middle, size = rng.uniform((26, 18), (38, 30)), rng.uniform((14, 9), (22, 15))
    inside = ((rows - middle[0]) / size[0]) ** 2 + ((columns - middle[1]) / size[1]) ** 2 < 1
    pixels = np.where(inside[..., None], COLOURS[tag], rng.uniform(110, 180))
    pixels = pixels + rng.normal(0, 9, (64, 48, 3))
    file = io.BytesIO()
    Pil.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def people(count: int, *, out: bool) -> list[str]:
    """User ids that are held out, or are not."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        if held_out(f"instagram/{number}") is out:
            found.append(str(number))
    return found


def add_photo(app: App, name: str, user: str, tags: tuple[str, ...], data: bytes) -> int:
    """Returns the number of its post."""
    media = Media(0, f"https://m/{name}/0")
    post = make_post(name, author=Author("instagram", user, user), hashtags=tags, media=(media,))
    fetched = Fetched(
        media, MediaState.STORED, app.originals.put(data), len(data), "image/jpeg", 48, 64
    )
    with app.database.write() as session:
        return dataset.add(session, post, [fetched], NOW)


def fill(app: App, train: int = 24, out: int = 24) -> None:
    """So many photos of people to learn from, and of people who are held out."""
    known, unknown = people(6, out=False), people(6, out=True)
    users = [known[n % 6] for n in range(train)] + [unknown[n % 6] for n in range(out)]
    for number, user in enumerate(users):
        tag = list(COLOURS)[number % 3]
        add_photo(app, f"p{number}", user, (tag, "colour"), photo(tag, number))
