"""Words for images: learned tags and search on photos, what our process costs, a run killed twice.

TAGECHO_BENCH_POSTS names files of lines with id, author (if known), hashtag or hashtags, with
photos/ beside each; without it, nothing is measured on photos. The captioners are tiny random ones,
made by the library in the hub's layout. The long run asks BLIP's about TAGECHO_BENCH_IMAGES (1,000)
pictures, and is killed after a third and after two thirds of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pil
from sqlmodel import col, func, select

from bench.table import Row, show
from bot import config
from bot.service.app import ServingStages, networks_of, opened
from bot.verbs.caption import table
from models.base import Image
from models.labels.outline import Outlines
from models.official import caption
from models.serving.network_process import NetworkProcess, ProcessBounds
from models.words.learn import SpokenPosts, Versions, learn_words
from storage.tables import CaptionRow
from tests.official import picture as photo
from tests.official import put_hub, save_blip, save_florence
from tests.streams import colour_stream

ROUNDS, EACH = 8, 8
SIZE = (480, 720)
BOUNDS = ProcessBounds(threads=1, nice=0)
KINDS = {"blip": save_blip, "florence": save_florence}


def learned(posts: Path) -> None:
    """The figures of `tagecho caption --report` on photos of a folder."""
    rows = [json.loads(line) for line in posts.read_text(encoding="utf-8").splitlines()]
    limit = int(os.environ.get("TAGECHO_BENCH_LIMIT", "0")) or len(rows)
    rows = rows[:limit]
    segmenter, outlines = ServingStages(config.Settings()).segmenter(), Outlines()
    seen, outlined, tags = [], [], []
    for row in rows:
        image = np.array(Pil.open(posts.parent / "photos" / f"{row['id']}.jpg").convert("RGB"))
        seen.append(segmenter(image).embedding)
        outlined.append(outlines(image).embedding)
        tags.append(frozenset(row.get("hashtags") or [row["hashtag"]]))
    authors = [str(row.get("author", row["id"])) for row in rows]
    spoken = SpokenPosts(np.stack(seen), np.stack(outlined), tags, tags, authors)
    began = time.perf_counter()
    found = learn_words(spoken, Versions(segmenter.version, outlines.version))
    print(f"\n### {posts.parent.name}: {len(rows)} photos; learned and measured in "
          f"{time.perf_counter() - began:.1f} s\n")  # fmt: skip
    print("\n".join(table(found.figures)))


def throughput(folder: Path) -> None:
    """Images a second in turns: the library alone, called here, and ours in its process."""
    rows, image = [], photo(*SIZE)
    for kind, save in KINDS.items():
        save(folder / kind)
        bare = alone(kind, folder / kind)
        arguments = {"folder": str(folder / kind), "threads": 1}
        with NetworkProcess(f"models.official.caption:{kind}", arguments, BOUNDS) as process:

            def ours(image: Image, process: NetworkProcess = process) -> object:
                return process.ask({}, (image,))

            speeds: dict[str, list[float]] = {"bare": [], "ours": []}
            bare(image)
            ours(image)
            for _ in range(ROUNDS):
                for name, ask in (("bare", bare), ("ours", ours)):
                    began = time.perf_counter()
                    for _ in range(EACH):
                        ask(image)
                    speeds[name].append(EACH / (time.perf_counter() - began))
        share = float(np.median(np.array(speeds["ours"]) / np.array(speeds["bare"])))
        rows += [
            Row(f"{kind}, the library alone", speeds["bare"], "images/s"),
            Row(
                f"{kind}, in our process", speeds["ours"], "images/s", target=f"≥ .95: {share:.3f}"
            ),
        ]
    show(
        "Captioners, a picture of 720 × 480 px, in turns; the share is the median of the turns",
        rows,
    )


def alone(kind: str, folder: Path) -> Any:
    """The library's own calls and nothing else: processor, generate, decode."""
    classes = {
        "blip": caption.BlipForConditionalGeneration,
        "florence": caption.Florence2ForConditionalGeneration,
    }
    processor, network = caption.loaded(classes[kind], str(folder), 1)
    tasks = {"blip": [(None, caption.TOKENS)]}.get(
        kind, [(caption.CAPTION, caption.TOKENS), (caption.OBJECTS, caption.LISTED)]
    )

    def ask(image: Image) -> object:
        found = []
        for task, most in tasks:
            more = {"text": task} if task else {}
            inputs = processor(images=Pil.fromarray(image), return_tensors="pt", **more)
            with caption.torch.inference_mode():
                made = network.generate(**inputs, max_new_tokens=most, num_beams=1, do_sample=False)
            found.append(processor.decode(made[0], skip_special_tokens=True))
        return found

    return ask


def killed_twice(folder: Path) -> None:
    """The whole command; no image may be lost, or be answered twice."""
    count = int(os.environ.get("TAGECHO_BENCH_IMAGES", "1000"))
    path = folder / "config.toml"
    path.write_text(f'[data]\ndir = "{folder / "data"}"\n', encoding="utf-8")
    settings = config.load(path)
    with opened(settings) as app:
        colour_stream(app, count)
        put_hub(networks_of(settings), "blip-base", save_blip)
    command = [sys.executable, "-m", "bot", "caption", "colours", "--network", "blip-base"]
    command += ["--config", str(path)]

    def answers() -> dict[str, Any]:
        with opened(settings) as app, app.database.read() as session:
            return {row.sha256: row.at for row in session.exec(select(CaptionRow))}

    began, first = time.perf_counter(), {}
    for share in (1, 2):
        with subprocess.Popen([*command, "-q"], process_group=0) as running:
            while len(answers()) < count * share // 3:
                time.sleep(0.5)
            os.killpg(running.pid, signal.SIGKILL)
        first |= {name: at for name, at in answers().items() if name not in first}
    subprocess.run(command, check=True)
    seconds, after = time.perf_counter() - began, answers()
    with opened(settings) as app, app.database.read() as session:
        stored = session.exec(select(func.count(col(CaptionRow.sha256)))).one()
    twice = sum(after[name] != at for name, at in first.items())
    lost = count - len(after)
    print(f"\n{count} images captioned, killed twice, in {seconds:.0f} s: {lost} lost, "
          f"{twice} done twice, {stored} rows")  # fmt: skip
    if lost or twice or stored != count:
        raise SystemExit("some were lost, or done twice")


def main() -> None:
    for posts in filter(None, os.environ.get("TAGECHO_BENCH_POSTS", "").split(":")):
        learned(Path(posts))
    with tempfile.TemporaryDirectory() as folder:
        throughput(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        killed_twice(Path(folder))


if __name__ == "__main__":
    main()
