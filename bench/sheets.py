"""Contact sheets, one for each style: what replies to real photos look like, for people to judge.

    python -m bench.sheets --out DIR [--styles echo,poster] [--seed 5] FOLDER:COUNT ...

Draws COUNT photos of each folder (and of the folders in it), always the same for a seed, takes them
through the stages of a reply, and writes DIR/masks-N.png and DIR/STYLE-N.png with 25 numbered tiles
each, and DIR/photos.txt with what was drawn. The sheets show the photos: keep them out of the tree.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from PIL import ImageDraw

from bot.config import Settings
from bot.flow.render import enlarged
from bot.platforms import registry
from bot.service.app import ServingStages
from models.base import Image, Mask
from models.compose.styles import WITHOUT_MASK, composer, styles
from models.images.decoder import decode
from models.images.fit import placement
from models.segment.doubt import doubt

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
TILE, ACROSS, DOWN = 300, 5, 5


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    image: Image
    mask: Mask
    note: str  # confidence, and whether the mask waits for a person


def drawn(wanted: list[str], seed: int) -> list[Path]:
    chance, found = random.Random(seed), []
    for entry in wanted:
        folder, _, count = entry.rpartition(":")
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        found += chance.sample(paths, min(int(count), len(paths)))
    return found


def stages(paths: list[Path], width: int) -> Iterator[Shown]:
    serving = ServingStages(Settings())
    segmenter = serving.segmenter()
    for path in paths:
        image = decode(path.read_bytes(), shrink_to=width).pixels
        large, _ = enlarged(image, width, serving)
        found = segmenter(large)
        held = doubt(found)
        yield Shown(large, found.mask, f"{found.confidence:.2f}{' waits' if held else ''}")


def sheets(tiles: list[PIL.Image.Image], notes: list[str], path: str) -> None:
    for start in range(0, len(tiles), ACROSS * DOWN):
        sheet = PIL.Image.new("RGB", (ACROSS * (TILE + 6), DOWN * (TILE + 20)), "white")
        draw = ImageDraw.Draw(sheet)
        for place, tile in enumerate(tiles[start : start + ACROSS * DOWN]):
            x, y = place % ACROSS * (TILE + 6), place // ACROSS * (TILE + 20)
            sheet.paste(tile, (x + (TILE - tile.width) // 2, y + (TILE - tile.height) // 2 + 14))
            draw.text((x + 2, y), f"{start + place}  {notes[start + place]}", fill=(0, 0, 0))
        sheet.save(f"{path}-{start // (ACROSS * DOWN) + 1}.png")


def small(image: Image) -> PIL.Image.Image:
    tile = PIL.Image.fromarray(image)
    tile.thumbnail((TILE, TILE), PIL.Image.Resampling.LANCZOS)
    return tile


def masked(shown: Shown) -> PIL.Image.Image:
    """The photo, red where there is no object."""
    image = shown.image.copy()
    image[~shown.mask] = (image[~shown.mask] * 0.25 + np.array([95, 30, 30])).astype(np.uint8)
    return small(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", metavar="FOLDER:COUNT")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--styles", default=",".join(styles()))
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    canvas = registry.descriptors()[0].ways.modes[0].canvas
    paths = drawn(arguments.photos, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{number} {path}\n" for number, path in enumerate(paths))
    (arguments.out / "photos.txt").write_text(lines, encoding="utf-8")
    shown = list(stages(paths, canvas.width))
    notes = [one.note for one in shown]
    sheets([masked(one) for one in shown], notes, str(arguments.out / "masks"))
    for style in arguments.styles.split(","):
        tiles = []
        for number, one in enumerate(shown):
            made = composer(style)
            if made.needs_mask and not one.mask.any():
                made = composer(WITHOUT_MASK)
            height, width = one.mask.shape
            size = placement(width, height, canvas).canvas
            tiles.append(small(made(one.image, one.mask, seed=number * 7919 + 13, size=size)))
        sheets(tiles, notes, str(arguments.out / style))


if __name__ == "__main__":
    main()
