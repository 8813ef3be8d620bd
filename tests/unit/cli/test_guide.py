"""Every command of README and guide does what it says, on a machine that has what it speaks of."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from bot.config import load
from bot.config.initial import Beginning, initial
from bot.core.events import TrackKind
from bot.service.app import opened
from storage.tables import AuthorName, Reply
from storage.tables import ReplyState as S
from tests.command import Run
from tests.databases import NOW
from tests.datasets import put
from tests.replies import put_reply
from tests.unit.test_docs import GUIDE, README, shell

pytestmark = pytest.mark.slow

# What other tests run, or no test can.
NOT_HERE = {
    "init": "asks, on a terminal: tests/unit/cli/test_init.py",
    "demo": "tests/e2e/test_demo.py",
    "rehearse": "tests/e2e/test_rehearse.py",
    "sandbox": "tests/e2e/test_first_evening.py",
    "console": "serves until it is ended: tests/unit/console",
    "replies retry": "needs a reply that failed: tests/unit/console/test_replies.py",
    "replies undo": "needs a reply with its picture: tests/unit/console/test_replies.py",
    "run": "tests/e2e/test_first_evening.py, test_service.py",
    "login": "tests/e2e/test_first_evening.py; with cookies tests/unit/cli",
    "collect": "needs a network: tests/e2e/test_collect.py",
    "learn": "trains for an hour: tests/flow/test_learn.py",
    "caption hoodie --network": "needs official weights: tests/unit/verbs/test_caption.py",
    "label hoodie --classes hat, red shoe --by": "official weights: tests/unit/verbs/test_label.py",
    "label hoodie --classes person": "official weights: tests/unit/verbs/test_label.py",
    "models pull": "downloads: tests/unit/verbs/test_pull.py",
    "models promote": "needs a learned network: tests/flow/test_learn.py",
    "models rollback": "needs a learned network: tests/flow/test_learn.py",
    "models evaluate": "tests/unit/verbs/test_evaluate.py",
    "status --watch": "does not end: tests/unit/verbs",
    "notify": "needs a service to tell: tests/unit",
    "segment one.jpg --out masks/ --point": "needs official weights",
    "segment -": "tests/unit/cli/test_files.py",
    "replies list --config /etc": "a folder of the machine",
    "restore": "tests/unit/cli/test_backup.py",
}
SIZE = (700, 700)
LAST = ("forget", "track remove")  # take away what others speak of
# Exit codes that tell the truth here: no service runs, nobody has logged in, no network made masks.
TRUE_HERE = {"doctor": 4, "status": 1, "status --json": 1, "masks import coco/": 8}
# Every image has the same hashtags, so none of them tells anything.
TRUE_HERE |= {"caption hoodie": 8}
TRUE_HERE["mine --gain"] = 8  # nothing has learned yet


def commands(text: str) -> list[list[str]]:
    listed = shell(text)
    return sorted(listed, key=lambda words: " ".join(words).startswith(LAST))


@pytest.fixture
def tagecho(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None, tagecho: Run
) -> Run:
    """A folder with a configuration, photos, sidecars, posts and replies."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    tracks = [(TrackKind.HASHTAG, "hoodie")]
    config = tmp_path / "config.toml"
    config.write_text(initial(Beginning("imagebot", tracks=tracks)), encoding="utf-8")
    _photos(tmp_path)
    _annotations(tmp_path, hashlib.sha256(_sharp(0)).hexdigest())
    with opened(load(config)) as app:
        _posts(tmp_path)
        for n in range(12):
            tags = ("hoodie", "cap", "street")
            put(app, f"70{n}", f"{n}", tags, images=[_sharp(n)], into="hoodie", size=SIZE)
        put(app, "800", "somebody", ("sunset",), caption='red hoodie, "golden hour"')
        for number in range(1, 22):
            put_reply(app.database, S.AWAITING_APPROVAL, f"70-{number}", author_id=f"{number % 12}")
        with app.database.write() as session:
            for user, name in (("11", "some.name"), ("1", "somebody")):
                session.add(
                    AuthorName(
                        platform="instagram",
                        user_id=user,
                        username=name,
                        normal=name,
                        first_seen=NOW,
                        last_seen=NOW,
                    )
                )
    return tagecho


def _sharp(seed: int) -> bytes:
    """A picture that no check objects to: full of edges, and like no other."""
    noise = np.random.default_rng(seed).integers(0, 256, (175, 175, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(SIZE, Image.Resampling.BILINEAR).save(file, "JPEG")
    return file.getvalue()


def _photos(folder: Path) -> None:
    cat = Image.fromarray(data.chelsea()[:300, 80:380]).resize((96, 96))
    names = ("one.jpg", "photo.jpg", "query.jpg", "photos/a.jpg", "photos/b.jpg")
    for name in (*names, "portfolio/mine.jpg", "failures/wrong.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        shade = np.asarray(cat) // (1 + len(name) % 3)
        Image.fromarray(shade).save(folder / name)


def _posts(folder: Path) -> None:
    (folder / "posts.csv").write_text("filename,user\na.jpg,ana\nb.jpg,bo\n", encoding="utf-8")
    (folder / "gallery-dl").mkdir()
    Image.open(folder / "one.jpg").save(folder / "gallery-dl/x.jpg")
    told = {
        "category": "instagram",
        "post_id": "1001",
        "owner_id": "77",
        "username": "somebody",
        "description": "#hoodie",
        "post_date": "2026-01-31 12:00:00",
        "num": 1,
    }
    (folder / "gallery-dl/x.jpg.json").write_text(json.dumps(told), encoding="utf-8")


def _annotations(folder: Path, sha256: str) -> None:
    """A triangle, drawn elsewhere on a stored image."""
    width, height = SIZE
    image = {"id": 1, "file_name": "a.jpg", "width": width, "height": height, "sha256": sha256}
    shape = {"id": 1, "image_id": 1, "segmentation": [[10, 10, 300, 10, 150, 300]]}
    said = {"images": [image], "annotations": [shape]}
    (folder / "annotations.json").write_text(json.dumps(said), encoding="utf-8")


def _in_doubt(number: int) -> None:
    with opened(load(Path("config.toml"))) as app, app.database.write() as session:
        session.get_one(Reply, number).state = S.UNKNOWN


@pytest.mark.parametrize("page", [README, GUIDE], ids=["README", "guide"])
def test_every_command_does_what_it_says(tagecho: Run, page: str) -> None:
    wrong = []
    for words in commands(page):
        line = " ".join(words)
        if line.startswith(tuple(NOT_HERE)):
            continue
        if words[-1] == "21":  # three ways out of one state
            _in_doubt(21)
        done = tagecho(*words)
        if done.code != TRUE_HERE.get(line, 0):
            wrong.append(f"tagecho {line}: {done.code}: {done.err[-200:]}")
    assert not wrong, "\n".join(wrong)
