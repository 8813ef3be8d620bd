"""Ingest with and without curation, and how well duplicates are told from other shots.

The made set: each photo six ways changed, and other shots of the same thing: the same photo from
another angle, distance and light (perspective, rotation, a large crop, noise). By default the
photos are those scikit-image ships; TAGECHO_BENCH_PHOTOS names a folder of real ones, in which
photos of one subfolder count as other shots of the same thing, and of which at most
TAGECHO_BENCH_LIMIT (400) are taken.
"""

from __future__ import annotations

import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage import data as bundled

from bench.network import network
from bench.service import service
from bench.table import Row, rss_mb, show, timed
from models.images.codec import decode
from models.quality.duplicate import SAME, similarity
from models.quality.index import HashIndex
from models.quality.measure import Measured, measure
from models.quality.phash import NEAR, distances

SIDE = 1080
POSTS = 200
ROUNDS = 3
NAMES = (
    "astronaut", "camera", "chelsea", "coffee", "rocket", "immunohistochemistry",
    "hubble_deep_field", "retina", "page", "brick", "grass", "gravel", "text", "clock", "coins",
    "moon",
)  # fmt: skip
Change = Callable[[Image.Image, random.Random], Image.Image]


def recompressed(image: Image.Image, dice: random.Random) -> Image.Image:
    return jpeg(image, dice.randint(25, 70))


def resized(image: Image.Image, dice: random.Random) -> Image.Image:
    share = dice.uniform(0.4, 0.9) if dice.random() < 0.7 else dice.uniform(1.2, 2)
    size = (max(48, round(image.width * share)), max(48, round(image.height * share)))
    return jpeg(image.resize(size, Image.Resampling.BICUBIC))


def cropped(image: Image.Image, dice: random.Random) -> Image.Image:
    """5 % of both sides, taken from either end."""
    wide, high = round(image.width * 0.05), round(image.height * 0.05)
    left, top = dice.randint(0, wide), dice.randint(0, high)
    return jpeg(image.crop((left, top, image.width - wide + left, image.height - high + top)))


def recoloured(image: Image.Image, dice: random.Random) -> Image.Image:
    """Gamma, contrast, white balance, saturation; in one of three also the hue, or grey."""
    pixels = (np.asarray(image) / 255) ** dice.uniform(0.7, 1.4)
    pixels = (pixels - 0.5) * dice.uniform(0.75, 1.25) + 0.5 + dice.uniform(-0.08, 0.08)
    pixels *= [dice.uniform(0.8, 1.2) for _ in range(3)]
    image = Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))
    image = ImageEnhance.Color(image).enhance(dice.choice((0, 0.5, 1.5)))
    if dice.random() < 1 / 3:
        hue, saturation, value = image.convert("HSV").split()
        turn = dice.choice((-1, 1)) * dice.randint(8, 32)  # of 256
        hue = hue.point([(i + turn) % 256 for i in range(256)])
        image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return jpeg(image)


def watermarked(image: Image.Image, dice: random.Random) -> Image.Image:
    """Words over the picture, half transparent, or a mark of one colour in a corner."""
    image = image.convert("RGBA")
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    if dice.random() < 0.6:
        font = ImageFont.load_default(max(10, image.width // 10))
        place = (image.width * dice.uniform(0.05, 0.2), image.height * dice.uniform(0.1, 0.8))
        draw.text(place, "@somebody", font=font, fill=(255, 255, 255, dice.randint(110, 200)))
    else:
        wide, high = image.width // 6, image.height // 14
        left = dice.choice((4, image.width - wide - 4))
        top = dice.choice((4, image.height - high - 4))
        draw.rectangle((left, top, left + wide, top + high), fill=(200, 20, 20, 255))
    return jpeg(Image.alpha_composite(image, layer).convert("RGB"))


def another_shot(image: Image.Image, dice: random.Random) -> Image.Image:
    """As if photographed again: turned, from the side, nearer, in another light, with noise."""
    angle = dice.choice((-1, 1)) * dice.uniform(5, 15)
    turned = image.rotate(angle, Image.Resampling.BICUBIC)
    wide, high = image.size
    share = dice.uniform(0.12, 0.2)
    corners = [
        wide * share, high * share * dice.uniform(0.6, 1.4),
        wide * share * dice.uniform(0.6, 1.4), high * (1 - share),
        wide * (1 - share), high * (1 - share * dice.uniform(0.6, 1.4)),
        wide * (1 - share * dice.uniform(0.6, 1.4)), high * share,
    ]  # fmt: skip
    seen = turned.transform(image.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(dice.randrange(2**32)).normal(0, 4, (high, wide, 3))
    pixels = np.asarray(seen) * dice.uniform(0.8, 1.15) + noise
    return jpeg(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))


CHANGES: dict[str, Change] = {
    "recompressed": recompressed,
    "resized": resized,
    "cropped 5 %": cropped,
    "recoloured": recoloured,
    "watermarked": watermarked,
}


def jpeg(image: Image.Image, quality: int = 85) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def photos() -> Iterator[tuple[str, Image.Image]]:
    """(thing, photo): photos of one thing are other shots of it."""
    folder = os.environ.get("TAGECHO_BENCH_PHOTOS")
    if folder is None:
        for name in NAMES:
            if (make := getattr(bundled, name, None)) is not None:
                yield name, Image.fromarray(np.asarray(make())).convert("RGB")
        return
    paths = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in (".jpg", ".png")]
    random.Random(1).shuffle(paths)
    for path in paths[: int(os.environ.get("TAGECHO_BENCH_LIMIT", "400"))]:
        with Image.open(path) as image:
            yield str(path.parent), image.convert("RGB")


def duplicates() -> None:
    dice = random.Random(7)
    made: list[tuple[int, str, Measured]] = []  # photo, how it was changed, measurements
    for number, (_, photo) in enumerate(photos()):
        made.append((number, "", measure(np.asarray(photo))))
        for name, change in CHANGES.items():
            made.append((number, name, measure(np.asarray(change(photo, dice)))))
        for shot in range(2):
            other = measure(np.asarray(another_shot(photo, dice)))
            made.append((-1 - 2 * number - shot, "another shot", other))
    hashes = np.array([m.phash for _, _, m in made])
    found: dict[tuple[int, int], bool] = {}
    began = time.process_time()
    compared = 0
    for i, (_, _, one) in enumerate(made):
        near = [int(j) for j in np.flatnonzero(distances(one.phash, hashes) <= NEAR) if j > i]
        alike = similarity([one.thumbnail] * len(near), [made[j][2].thumbnail for j in near])
        compared += len(near)
        found |= {(i, j): bool(much >= SAME) for j, much in zip(near, alike, strict=True)}
    seconds = time.process_time() - began
    pairs = list(combinations(range(len(made)), 2))
    truth = {(i, j) for i, j in pairs if made[i][0] == made[j][0]}
    merged = grouped(len(made), [pair for pair, same in found.items() if same])
    right, wrong = merged & truth, merged - truth
    print(
        f"\n### Near duplicates: {len(truth)} true pairs among {len(pairs)}, {len(made)} images\n"
    )
    print(f"Compared {compared} pairs, {1000 * seconds / max(1, compared):.2f} ms of CPU each.\n")
    print("| what | found | of | share | asked |\n|---|---:|---:|---:|---|")
    for name in CHANGES:
        mine = {(i, j) for i, j in truth if made[i][1] == "" and made[j][1] == name}
        hits = len(mine & merged)
        print(f"| {name}, with its photo | {hits} | {len(mine)} | {hits / len(mine):.3f} | |")
    recall = len(right) / len(truth)
    print(f"| recall, pairs in a group | {len(right)} | {len(truth)} | {recall:.3f} | ≥ 0.95 |")
    precision = len(right) / max(1, len(merged))
    print(
        f"| precision, pairs in a group | {len(right)} | {len(merged)} | {precision:.3f} | ≥ 0.99 |"
    )
    shots = sum("another shot" in (made[i][1], made[j][1]) for i, j in wrong)
    print(f"\nWrongly merged: {len(wrong)} pairs, {shots} of them another shot of the same thing.")


def grouped(count: int, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """All pairs that end in one group, as curation makes groups."""
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    links = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    return {(i, j) for i, j in combinations(range(count), 2) if group[i] == group[j]}


def scanning() -> None:
    index = HashIndex()
    hashes = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 1_000_000)
    index.put(range(1_000_000), hashes)  # type: ignore[arg-type]
    times = timed(lambda: index.near(int(hashes[5]), 256), repeat=30)
    show("Candidates among 1,000,000 hashes", [Row("scan", times, rss_mb=rss_mb())])


def measuring() -> None:
    """Of one picture, on one core."""
    photo = Image.fromarray(bundled.astronaut()).resize((SIDE, SIDE * 5 // 4))
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=90)
    pixels = decode(out.getvalue()).pixels
    show(
        f"One photo of {SIDE} px",
        [
            Row("decode", timed(lambda: decode(out.getvalue()), 20)),
            Row("measure", timed(lambda: measure(pixels), 20)),
        ],
        baseline="decode",
    )


def ingest(folder: Path, addresses: dict[str, str], *, curated: bool) -> tuple[float, float]:
    """Images a second, and milliseconds of CPU for each in this process."""
    with service(folder, addresses, POSTS, curated=curated) as it:
        began, used = time.perf_counter(), time.process_time()
        polled = it.poller.poll(it.platform, it.watch)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        assert polled.taken.new == POSTS, polled
        assert not curated or it.app.curator.unmatched() == []
        return POSTS / seconds, 1000 * used / POSTS


def ingesting() -> None:
    rates: dict[bool, list[float]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as name,
        network(Path(name) / "network", POSTS, side=SIDE) as addresses,
    ):
        for number in range(ROUNDS):
            for curated in (False, True):
                folder = Path(name) / f"{number}-{curated}"
                rate, used = ingest(folder, dict(addresses), curated=curated)
                rates[curated].append(rate)
                cpu[curated].append(used)
    show(
        f"Ingest from the loopback network, photos of {SIDE} px",
        [
            Row("without curation", rates[False], unit="images/s"),
            Row("with curation", rates[True], unit="images/s", rss_mb=rss_mb(), target="≥ 20"),
        ],
        baseline="without curation",
    )
    show(
        "The same, CPU time of this process for one image",
        [
            Row("without curation", cpu[False]),
            Row("with curation", cpu[True], target="≤ 100 ms for 20 images/s on 2 cores"),
        ],
        baseline="without curation",
    )


if __name__ == "__main__":
    ingesting()
    measuring()
    scanning()
    duplicates()
