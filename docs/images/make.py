"""Makes reply.jpg: before, mask and after of three photos, by the very code that makes replies.

    .venv/bin/python docs/images/make.py

The photos are samples that scikit-image ships: "astronaut" (NASA, public domain), "coffee" (CC0,
Rachel Michetti) and "camera" (CC0, Lav Varshney).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from bot.config import Settings
from bot.verbs import images

PHOTOS = {  # name → style, and the part that is shown: left, top, width, in pixels of the sample
    "astronaut": ("echo", (10, 0, 430)),
    "coffee": ("sticker", (30, 0, 500)),
    "camera": ("duotone", (60, 60, 440)),
}
WIDE, HIGH, GAP = 400, 320, 8


def main() -> None:
    sheet = Image.new("RGB", (3 * WIDE + 2 * GAP, 3 * HIGH + 2 * GAP), "white")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row, (photo, (style, part)) in enumerate(PHOTOS.items()):
            for column, path in enumerate(stages(photo, style, part, folder)):
                with Image.open(path) as image:
                    tile = image.convert("RGB").resize((WIDE, HIGH), Image.Resampling.LANCZOS)
                sheet.paste(tile, (column * (WIDE + GAP), row * (HIGH + GAP)))
    sheet.save(Path(__file__).with_name("reply.jpg"), quality=82, optimize=True)


def stages(photo: str, style: str, part: tuple[int, int, int], folder: Path) -> list[Path]:
    """A part of the photo, its mask, and the reply to it."""
    before = folder / f"{photo}.png"
    left, top, width = part
    height = round(width * HIGH / WIDE)
    image = Image.fromarray(getattr(data, photo)()).convert("RGB")
    image.crop((left, top, left + width, top + height)).save(before)
    mask = images.segment([before], folder / "masks", Settings()).written
    after = images.compose([before], folder / "replies", style, 0, Settings()).written
    return [before, *mask, *after]


if __name__ == "__main__":
    main()
