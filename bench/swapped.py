"""A dataset whose hashtags were swapped on purpose: what is caught, and what wrongly.

python -m bench swapped, with TAGECHO_BENCH_HASHTAGS=posts.jsonl (lines of id, author, hashtag;
photos/ID.jpg beside it) and TAGECHO_BENCH_OUT=DIR for the contact sheets.

The posts are published on the loopback network, a fifth of them under another hashtag, drawn from
the hashtags' own frequencies. Then the verbs of a user: `collect` each hashtag, `labels score`,
`curate`. Red on the sheets: swapped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from sqlmodel import col, select

from bench.service import CONFIG
from bot import config
from bot.dataset.evaluation_sets import TaggedPhoto, tagged_photos
from bot.platforms.sandbox.things import Details
from bot.service.app import App, opened
from models.labels.noise import swapped
from models.metrics.ranking import auroc
from storage.tables import LabelScore, MediaRow, MediaState, PostRow, Verdict

RATE, SEED, SPACING_S = 0.2, 2, 60.0
POSTS, OUT = "TAGECHO_BENCH_HASHTAGS", "TAGECHO_BENCH_OUT"
TILE, WORD, COLUMNS, ROWS = 96, 12, 12, 8  # px of a photo and of the line below; places
FIT, LEARNED_FROM = "label_fit", "combined"


@dataclass(frozen=True, slots=True)
class Judged:
    """One stored post."""

    hashtag: str
    sha256: str
    swapped: bool
    fit: float  # in [0, 1]
    verdicts: frozenset[str]


def word(hashtag: str) -> str:
    """As people write it: T-Shirt → tshirt."""
    return re.sub(r"\W", "", hashtag).lower()


def publish(world: Any, gallery: Any, photos: Sequence[TaggedPhoto]) -> dict[str, bool]:
    """Post all photos. Returns which post was swapped, by its code."""
    names = {author: f"person{n}" for n, author in enumerate(sorted({p.author for p in photos}))}
    for name in names.values():
        world.add_user(name)
    said, wrong = swapped([photo.hashtag for photo in photos], RATE, SEED)
    begin = world.clock() - SPACING_S * (len(photos) + 1)
    truth: dict[str, bool] = {}
    for number in np.random.default_rng(SEED).permutation(len(photos)):
        photo = photos[number]
        picture = gallery.keep(f"photo{number}", photo.path.read_bytes())
        at = begin + SPACING_S * len(truth)
        caption = f"#{word(said[number])}"
        post = world.add_post(
            names[photo.author], caption, pictures=[picture], details=Details(at=at)
        )
        truth[post.code] = bool(wrong[number])
    return truth


def tagecho(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a verb as a user does. Returns its JSON; CalledProcessError when it fails."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "bot", *arguments, "--json", "-c", str(folder / "config.toml")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, env=os.environ)
    print(f"{time.monotonic() - began:7.1f} s  tagecho {' '.join(arguments)}", flush=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def judged(app: App, truth: dict[str, bool]) -> list[Judged]:
    """Every stored post with its score and its verdicts."""
    with app.database.read() as session:
        verdicts: dict[int, set[str]] = {}
        for media, check in session.exec(select(Verdict.media, Verdict.check)):
            verdicts.setdefault(media, set()).add(check)
        rows = session.exec(
            select(PostRow.url, LabelScore.hashtag, LabelScore.probability, MediaRow)
            .join(LabelScore, col(LabelScore.post) == PostRow.id)
            .join(MediaRow, col(MediaRow.post) == PostRow.id)
            .where(LabelScore.method == LEARNED_FROM, MediaRow.state == MediaState.STORED)
            .order_by(col(PostRow.id))
        )
        return [
            Judged(
                tag,
                m.sha256 or "",
                truth[url.rstrip("/").rpartition("/")[2]],
                fit,
                frozenset(verdicts.get(m.id or 0, ())),
            )
            for url, tag, fit, m in rows
        ]


def sheet(app: App, posts: Sequence[Judged], path: Path) -> None:
    """Some of the posts, drawn at random, each above the hashtag it came with."""
    page = Image.new("RGB", (COLUMNS * TILE, ROWS * (TILE + WORD)), "white")
    draw = ImageDraw.Draw(page)
    order = np.random.default_rng(0).permutation(len(posts))[: COLUMNS * ROWS]
    for place, number in enumerate(order):
        left, top = place % COLUMNS * TILE, place // COLUMNS * (TILE + WORD)
        with Image.open(app.originals.path(posts[number].sha256)) as photo:
            photo.thumbnail((TILE - 6, TILE - 6))
            page.paste(photo, (left + 3, top + 3))
        bad = posts[number].swapped
        draw.text((left + 3, top + TILE), f"#{posts[number].hashtag}", "red" if bad else "black")
        if bad:
            draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), outline="red", width=3)
    page.save(path)


def show(posts: Sequence[Judged]) -> None:
    """Caught and wrongly caught at several thresholds, then what each check set aside."""
    wrong = np.array([post.swapped for post in posts])
    fit = np.array([post.fit for post in posts])
    print(f"\n{len(posts)} posts, {wrong.sum()} swapped; AUROC {auroc(1 - fit, wrong):.3f}\n")
    print("| set aside | images | swapped, caught | not swapped, wrongly caught | swapped left |")
    print("|---|---:|---:|---:|---:|")
    verdict = np.array([FIT in post.verdicts for post in posts])
    chosen = [("verdict label_fit", verdict)]
    chosen += [(f"fit below {limit}", fit < limit) for limit in (0.1, 0.2, 0.3, 0.5)]
    for name, aside in chosen:
        caught, good, left = (aside & wrong).sum(), (aside & ~wrong).sum(), (~aside & wrong).sum()
        print(
            f"| {name} | {aside.sum()} | {caught} ({caught / wrong.sum():.0%}) "
            f"| {good} ({good / (~wrong).sum():.1%}) | {left} of {(~aside).sum()} "
            f"({left / max(1, (~aside).sum()):.1%}) |"
        )
    print("\n| check | images | of them swapped |\n|---|---:|---:|")
    for check in sorted({check for post in posts for check in post.verdicts}):
        found = [post.swapped for post in posts if check in post.verdicts]
        print(f"| {check} | {len(found)} | {sum(found)} |")


def measure(folder: Path, out: Path, photos: Sequence[TaggedPhoto]) -> None:
    from bot.platforms.sandbox.server import Sandbox

    box = Sandbox(folder / "network")
    box.net.page_size = 50
    truth = publish(box.world, box.gallery, photos)
    hashtags = sorted({word(photo.hashtag) for photo in photos})
    with box:
        addresses = box.addresses()
        path = folder / "config.toml"
        path.write_text(CONFIG.format(**addresses), encoding="utf-8")
        os.environ["TAGECHO_ACCOUNTS__MAIN__PASSWORD"] = addresses["password"]
        for hashtag in hashtags:
            tagecho(folder, "collect", f"#{hashtag}")
    tagecho(folder, "stats", "--html", str(out / "stats-before.html"))
    tagecho(folder, "labels", "score")
    print(json.dumps(tagecho(folder, "curate")))
    tagecho(folder, "stats", "--html", str(out / "stats-after.html"))
    with opened(config.load(path)) as app:
        posts = judged(app, truth)
        show(posts)
        kept = [post for post in posts if not post.verdicts]
        aside = [post for post in posts if FIT in post.verdicts]
        for name, some in (("before", posts), ("after", kept), ("set-aside", aside)):
            sheet(app, some, out / f"{name}.png")
            bad = sum(post.swapped for post in some)
            print(f"{out / name}.png: of {len(some)}, {bad} swapped ({bad / len(some):.1%})")


def main() -> None:
    if not (named := os.environ.get(POSTS)):
        print(f"swapped: not measured, {POSTS} names no posts.jsonl", flush=True)
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(os.environ.get(OUT, scratch))
        out.mkdir(parents=True, exist_ok=True)
        measure(Path(scratch), out, tagged_photos(Path(named), None))


if __name__ == "__main__":
    main()
