"""Makes reply.jpg: before, mask and after of three photos, by the very code that makes replies.

    .venv/bin/python docs/images/make.py

The photos are samples that scikit-image ships: "astronaut" (NASA, public domain), "chelsea" (CC0,
Stefan van der Walt) and "coffee" (CC0, Rachel Michetti).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from bot.config import Settings
from bot.verbs import images

STYLES = {"astronaut": "echo", "chelsea": "spotlight", "coffee": "sticker"}
SIDE, GAP = 360, 8


def main() -> None:
    sheet = Image.new("RGB", (3 * SIDE + 2 * GAP, 3 * SIDE + 2 * GAP), "white")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row, (photo, style) in enumerate(STYLES.items()):
            for column, path in enumerate(stages(photo, style, folder)):
                with Image.open(path) as image:
                    tile = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                sheet.paste(tile, (column * (SIDE + GAP), row * (SIDE + GAP)))
    sheet.save(Path(__file__).with_name("reply.jpg"), quality=82, optimize=True)


def stages(photo: str, style: str, folder: Path) -> list[Path]:
    """The square in the middle of the photo, its mask, and the reply to it."""
    before = folder / f"{photo}.png"
    image = Image.fromarray(getattr(data, photo)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image.crop((left, top, left + side, top + side)).save(before)
    mask = images.segment([before], folder / "masks", Settings()).written
    after = images.compose([before], folder / "replies", style, 0, Settings()).written
    return [before, *mask, *after]


if __name__ == "__main__":
    main()
