"""Are pictures found again that were posted altered, and nothing else? And how long it takes.

Photos of TAGECHO_BENCH_PHOTOS (by default those of scikit-image) are divided: the first 40 are
watched, the next ones (TAGECHO_BENCH_LIMIT, 400) are strangers. Each watched photo is altered in
every way below.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pil
from PIL import ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from skimage import data as bundled

from bench.curation import NAMES, jpeg
from bench.table import Row, show
from models.base import Image
from models.quality.landmarks import landmarks
from models.quality.reappearance import SAME, Watched, compare

WATCHED = 40
Change = Callable[[Pil.Image, random.Random], Pil.Image]


def cropped(image: Pil.Image, dice: random.Random, share: float = 0.7) -> Pil.Image:
    """`share` of each side is left."""
    wide, high = round(image.width * share), round(image.height * share)
    left, top = dice.randint(0, image.width - wide), dice.randint(0, image.height - high)
    return image.crop((left, top, left + wide, top + high))


def tinted(image: Pil.Image, dice: random.Random) -> Pil.Image:
    pixels = (np.asarray(image) / 255) ** dice.uniform(0.6, 1.6)
    pixels = pixels * [dice.uniform(0.6, 1.2) for _ in range(3)] + dice.uniform(-0.1, 0.1)
    toned = Pil.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))
    return ImageEnhance.Color(toned).enhance(dice.choice((0, 0.4, 1.6)))


def mirrored(image: Pil.Image, _: random.Random) -> Pil.Image:
    return ImageOps.mirror(image)


def written_over(image: Pil.Image, dice: random.Random) -> Pil.Image:
    """Three lines of large words, and a bar."""
    out = image.copy()
    draw = ImageDraw.Draw(out)
    font = ImageFont.load_default(max(14, image.width // 8))
    for line, words in enumerate(("SALE TODAY", "only here!", "@somebody_else")):
        at = image.width * dice.uniform(0, 0.3), image.height * (0.1 + 0.28 * line)
        draw.text(at, words, font=font, fill=dice.choice(("white", "yellow", "black", "red")))
    top = dice.choice((0.0, 0.85)) * image.height
    draw.rectangle((0, top, image.width, top + 0.15 * image.height), fill="black")
    return out


def framed(image: Pil.Image, dice: random.Random) -> Pil.Image:
    """In a screenshot: smaller, with borders of other things."""
    small = image.resize((round(image.width * 0.7), round(image.height * 0.7)))
    out = Pil.new("RGB", (round(image.width * 1.05), round(image.height * 1.3)), "white")
    out.paste(small, (round(image.width * dice.uniform(0, 0.3)), round(image.height * 0.3)))
    ImageDraw.Draw(out).text((10, 10), "somebody  2 hours ago", fill="black")
    return out


def squeezed(image: Pil.Image, dice: random.Random) -> Pil.Image:
    wide = dice.choice((0.85, 1.15))
    return image.resize((round(image.width * wide), image.height))


def blurred(image: Pil.Image, _: random.Random) -> Pil.Image:
    return image.filter(ImageFilter.GaussianBlur(image.width / 250))


def everything(image: Pil.Image, dice: random.Random) -> Pil.Image:
    return written_over(mirrored(tinted(cropped(image, dice), dice), dice), dice)


ALTERED: dict[str, Change] = {
    "unaltered, JPEG 50": lambda image, dice: image,
    "crop to 70 %": cropped,
    "crop to 50 %": lambda image, dice: cropped(image, dice, 0.5),
    "tint": tinted,
    "mirror": mirrored,
    "text over it": written_over,
    "in a screenshot": framed,
    "squeezed 15 %": squeezed,
    "blur": blurred,
    "crop, tint, mirror, text": everything,
    "turned by 5°": lambda image, dice: image.rotate(5, Pil.Resampling.BICUBIC),
}


def photos() -> list[Pil.Image]:
    folder = os.environ.get("TAGECHO_BENCH_PHOTOS")
    if not folder:
        return [Pil.fromarray(getattr(bundled, name)()).convert("RGB") for name in NAMES]
    paths = sorted(p for p in Path(folder).rglob("*.jpg") if "labels" not in p.parts)
    random.Random(7).shuffle(paths)
    limit = int(os.environ.get("TAGECHO_BENCH_LIMIT", "400"))
    return [Pil.open(path).convert("RGB") for path in paths[: WATCHED + limit]]


@dataclass(frozen=True, slots=True)
class Looked:
    """Which watched pictures were found in an image, and how similar the best wrong one was."""

    right: bool
    wrong: int
    best_wrong: float
    seconds: float


def look(watched: Watched, mine: list[Image], image: Image, of: int | None) -> Looked:
    began = time.perf_counter()
    seen, similar = landmarks(image), dict[int, float]()
    for number in watched.candidates(seen):
        placement = watched.placement(number, seen)
        if placement is not None:
            one = abs(number) - 1
            similarity = compare(mine[one], image, placement).similarity
            similar[one] = max(similarity, similar.get(one, 0.0))
    took = time.perf_counter() - began
    found = {one for one, similarity in similar.items() if similarity >= SAME}
    others = [similarity for one, similarity in similar.items() if one != of]
    return Looked(of in found, len(found - {of}), max(others, default=0.0), took)


def main() -> None:
    everyone = photos()
    count = min(WATCHED, len(everyone) // 2)
    mine = [np.array(image) for image in everyone[:count]]
    marks = [
        (sign * (number + 1), landmarks(np.ascontiguousarray(image[:, ::sign])))
        for number, image in enumerate(mine)
        for sign in (1, -1)
    ]
    watched, strangers = Watched(marks), everyone[count:]
    looked: dict[str, list[Looked]] = {}
    for name, change in ALTERED.items():
        dice = random.Random(name)
        looked[name] = [
            look(watched, mine, np.array(jpeg(change(everyone[n], dice), 50)), n)
            for n in range(count)
        ]
    looked["strangers"] = [look(watched, mine, np.array(image), None) for image in strangers]
    print(f"\n### {count} watched pictures, {len(strangers)} strangers\n")
    print("| what was done to it | images | found | wrong findings | most similar wrong one |")
    print("|---|---:|---:|---:|---:|")
    for name, rows in looked.items():
        recall = "" if name == "strangers" else f"{np.mean([one.right for one in rows]):.1%}"
        wrong, best = sum(one.wrong for one in rows), max(one.best_wrong for one in rows)
        print(f"| {name} | {len(rows)} | {recall} | {wrong} | {best:.2f} |")
    every = [one for rows in looked.values() for one in rows]
    right, wrong = sum(one.right for one in every), sum(one.wrong for one in every)
    print(f"\nPrecision {right / max(1, right + wrong):.2%}: {right} right, {wrong} wrong.")
    show("One image", [Row("compare", [1000 * one.seconds for one in every])])


if __name__ == "__main__":
    main()
