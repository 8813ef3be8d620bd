"""A stored stream whose hashtags say what its pictures show: a colour, most of the time."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pil

from bot.service.app import App
from tests.datasets import put

COLOURS = {"red": (200, 30, 30), "green": (30, 170, 40), "blue": (30, 50, 200)}
SIZE = (48, 40)


def coloured(number: int) -> tuple[str, bytes]:
    """Its colour's name, and a JPEG in which it prevails."""
    name = tuple(COLOURS)[number % len(COLOURS)]
    grain = np.random.default_rng(number).normal(0, 25, (5, 6, 3))
    pixels = np.clip(np.array(COLOURS[name]) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Pil.fromarray(pixels).resize(SIZE, Pil.Resampling.BICUBIC).save(file, "JPEG")
    return name, file.getvalue()


def colour_stream(app: App, count: int, dataset: str = "colours") -> dict[int, str]:
    """Posts p0, p1 … of twelve people; every fifth without a word on its colour. Image → colour."""
    found = {}
    for number in range(count):
        name, data = coloured(number)
        silent = number % 5 == 4
        tags = ("photo",) if silent else (name, "photo")
        caption = "" if silent else f"something {name}"
        [media] = put(
            app, f"p{number}", f"u{number % 12}", tags, images=[data], into=dataset,
            size=SIZE, caption=caption,
        )  # fmt: skip
        found[media] = name
    return found
