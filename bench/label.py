"""Labels: what our process adds to the bare library, and a long run that is killed twice.

The detectors are tiny random ones, made by the library in the hub's layout. The long run labels
TAGECHO_BENCH_IMAGES (1,000) made pictures with the embedded network; it is killed after a third and
after two thirds of them. No image may be lost, or be answered twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlmodel import col, func, select

from bench.table import Row, show
from bot import config
from bot.service.app import App, opened
from models.official.detection import answerer
from models.serving.network_process import NetworkProcess, ProcessBounds
from storage.tables import ObjectJob, ObjectLabel
from tests.datasets import put
from tests.official import picture as photo
from tests.official_detectors import SAVE
from tests.pictures import jpeg, noise

ROUNDS, EACH = 8, 8
CLASSES = {"owlv2": ["hat", "dog"], "grounding-dino": ["hat", "dog"], "rt-detr": ["dog", "cat"]}


def throughput(folder: Path) -> None:
    """Images a second in turns: the library called here, and in its process by us."""
    rows, image = [], photo(480, 720)
    for kind, save in SAVE.items():
        save(folder / kind)
        bare = answerer(kind, str(folder / kind), 1)
        arguments = {"kind": kind, "folder": str(folder / kind), "threads": 1}
        facts = {"classes": CLASSES[kind], "threshold": 0.1}
        with NetworkProcess("models.official.detection:answerer", arguments, BOUNDS) as ours:
            ours.ask(facts, [image])
            bare(facts, [image])
            speeds: tuple[list[float], list[float]] = ([], [])
            for _ in range(ROUNDS):
                for ask, found in ((bare, speeds[0]), (ours.ask, speeds[1])):
                    began = time.perf_counter()
                    for _ in range(EACH):
                        ask(facts, [image])
                    found.append(EACH / (time.perf_counter() - began))
        share = float(np.median(np.array(speeds[1]) / np.array(speeds[0])))
        rows += [
            Row(f"{kind}, the library alone", speeds[0], "images/s"),
            Row(f"{kind}, in our process", speeds[1], "images/s", target=f"≥ .95: {share:.3f}"),
        ]
    show(
        "Detectors, a picture of 720 × 480 px, in turns; the share is the median of the turns", rows
    )


BOUNDS = ProcessBounds(threads=1, nice=0)


def killed_twice(folder: Path) -> None:
    count = int(os.environ.get("TAGECHO_BENCH_IMAGES", "1000"))
    path = folder / "config.toml"
    path.write_text(f'[data]\ndir = "{folder / "data"}"\n', encoding="utf-8")
    settings = config.load(path)
    with opened(settings) as app:
        for number in range(count):
            tags = ("hat",) if number % 3 else ("sky",)
            put(app, f"n{number}", f"u{number % 50}", tags, images=[picture(number)], into="d")
    command = [sys.executable, "-m", "bot", "label", "d", "--classes", "hat", "--config", str(path)]
    with opened(settings) as app:
        for share in (1, 2):
            running = subprocess.Popen([*command, "-q"])
            while answered(app) < count * share // 3:
                time.sleep(0.2)
            running.send_signal(signal.SIGKILL)
            running.wait()
            print(f"killed with {answered(app)} of {count} answered", flush=True)
        began, before = time.perf_counter(), answered(app)
        subprocess.run([*command, "-q"], check=True)
        rate = (answered(app) - before) / (time.perf_counter() - began)
        with app.database.read() as session:
            attempts = session.exec(
                select(ObjectJob.attempts, func.count()).group_by(col(ObjectJob.attempts))
            ).all()
            doubled = (
                session.exec(select(func.count()).select_from(ObjectLabel)).one()
                - session.exec(select(func.count(func.distinct(ObjectLabel.sha256)))).one()
            )
        print(f"answered {answered(app)} of {count}; answers per image: {attempts}; "
              f"images with two answers: {doubled}; {rate:.1f} images/s")  # fmt: skip


def picture(seed: int) -> bytes:
    return jpeg(noise(seed, 240))


def answered(app: App) -> int:
    with app.database.read() as session:
        waiting = select(func.count()).select_from(ObjectJob).where(ObjectJob.state != "waiting")
        return int(session.exec(waiting).one())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tagecho-bench-") as place:
        throughput(Path(place))
        killed_twice(Path(place))
