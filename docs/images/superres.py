"""Makes superres.png: what a bicubic filter and our networks make of small pictures, side by side.

    .venv/bin/python docs/images/superres.py

Parts of photos that scikit-image ships: "astronaut" (NASA, public domain), "chelsea" (CC0, Stefan
van der Walt) and "coffee" (CC0, Rachel Michetti). Rows in pairs: reduced to a quarter; then with
blur, noise of 15 grey levels and JPEG quality 60 as well. Columns: bicubic, ours, the original.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from models.base import Image as Pixels
from models.serving.packs import load_upscaler
from models.serving.runtime import Runtime
from models.superres.degrade import blur, jpeg, noise, shrink
from models.superres.evaluate import bicubic

PARTS = {"astronaut": (20, 140), "chelsea": (60, 60), "coffee": (60, 250)}  # top, left
SIDE, GAP, SCALE = 192, 6, 4


def main() -> None:
    upscaler = load_upscaler("embedded", SCALE, Runtime(threads=1))
    rows = []
    for photo, (top, left) in PARTS.items():
        original = np.ascontiguousarray(
            getattr(data, photo)()[top : top + SIDE, left : left + SIDE]
        )
        for small in (shrink(original, SCALE), damaged(original)):
            rows.append([bicubic(small, SCALE), upscaler(small), original])
    step = SIDE + GAP
    sheet = Image.new("RGB", (3 * step - GAP, len(rows) * step - GAP), "white")
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            sheet.paste(Image.fromarray(tile), (column * step, row * step))
    sheet.save(Path(__file__).with_name("superres.png"), optimize=True)


def damaged(image: Pixels) -> Pixels:
    small = shrink(blur(image, 1.2, 1.2), SCALE)
    return jpeg(noise(small, 15, np.random.default_rng(0), grey=False), 60)


if __name__ == "__main__":
    main()
