"""`tagecho search`: by image and by words, through the verb; nonsense finds nothing."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image as Pil
from sqlalchemy import delete

from bot.cli import main as cli
from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import NothingToDo, UsageError
from bot.service.app import ServingStages, opened
from bot.verbs import image_index
from bot.verbs.image_index import ImageIndex, prune
from bot.verbs.search import SearchQuery, find, rebuild
from models.base import Image
from models.resemblance import Space, nonsense
from storage import dataset, labels, search
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.search import Filters
from storage.tables import Embedding, MediaState
from tests.databases import NOW, make_post
from tests.paths import ROOT

SIZE, COUNT = 24, 180
NOBODY = np.empty((0, SIZE), np.float32)


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """All around one direction, as networks make them."""
    random = np.random.default_rng(seed)
    found = 4 + random.normal(size=(count, SIZE)) @ random.normal(size=(SIZE, SIZE))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def fill(database: Database, count: int = COUNT, first: int = 0) -> list[str]:
    """Posts p0, p1 ...: every third with #third, every 60th with #rare, by user u{n % 5}."""
    names = []
    stored = vectors(count, seed=first)
    with database.write() as session:
        for n in range(first, first + count):
            tags = ("third",) * (n % 3 == 0) + ("rare",) * (n % 60 == 0)
            post = make_post(f"p{n}", hashtags=tags, taken_at=NOW - timedelta(minutes=n))
            names.append(f"{n:064x}"[::-1])
            size = 100 + n
            image = Fetched(post.media[0], MediaState.STORED, names[-1], 9, "image/png", size, size)
            dataset.add(session, post, [image], NOW)
        raw = {name: vector.tobytes() for name, vector in zip(names, stored, strict=True)}
        labels.keep_vectors(session, "net.1", raw, NOW)
    return names


def made(database: Database, root: Path) -> ImageIndex:
    found = ImageIndex(database, root, "net.1", lambda: NOBODY)
    found.sync()
    return found


def test_filtered_by_image_is_what_comparing_everything_gives(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, stored = fill(database), vectors(COUNT)
    alike = made(database, tmp_path / "search")
    space = Space.fit(stored[np.argsort(names)], NOBODY)
    assert alike.space is not None
    projected = space.project(stored)
    filters = {
        Filters(): range(COUNT),
        Filters(hashtags=("third",)): range(0, COUNT, 3),
        Filters(hashtags=("rare",)): range(0, COUNT, 60),
        Filters(size=250): range(150, COUNT),
        Filters(hashtags=("third",), since=NOW - timedelta(minutes=90)): range(0, 91, 3),
        Filters(author=("instagram", "u2")): range(0),
    }
    for query in stored[[3, 60, 179]]:
        asked = space.project(query)
        floor = space.floor(asked)
        for wanted, rows in filters.items():
            near = sorted(rows, key=lambda n: -float(projected[n] @ asked))[:8]
            expected = [names[n] for n in near if projected[n] @ asked > floor]
            for few in (0, 50, 2000):  # looked for among all, or compared one by one
                monkeypatch.setattr(image_index, "FEW", few)
                monkeypatch.setattr(search, "NARROW", few)
                found = alike.similar(query, 8, (), wanted)
                assert [one.sha256 for one in found] == expected, (wanted, few)
    assert alike.similar(stored[60], 1, search.parse("rare"))[0].sha256 == names[60]


def test_what_changed_is_seen_and_what_was_forgotten_is_not(
    database: Database, tmp_path: Path
) -> None:
    root = tmp_path / "search"
    names, stored = fill(database, 50), vectors(50)
    alike = made(database, root)
    assert alike.similar(stored[7], 1)[0].sha256 == names[7]
    with database.write() as session:
        forget(session, "instagram", "u1", NOW)  # all of them
    assert alike.similar(stored[7], 5) == []  # from the files as they were
    later = fill(database, 20, first=200)
    alike.sync()
    assert alike.similar(vectors(20, seed=200)[4], 1)[0].sha256 == later[4]
    assert alike.index is not None
    assert alike.index.names() == set(later)
    data = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert bytes.fromhex(names[7]) not in data
    assert alike.space is not None
    assert alike.space.project(stored[7]).tobytes() not in data
    fill(database, 90, first=300)  # more than twice as many: the space is told anew
    alike.sync()
    assert [path.name for path in root.glob("net*")] == ["net.1.2"]
    assert len(alike.index) == 110


def test_what_was_forgotten_goes_from_every_cache_at_once(
    database: Database, tmp_path: Path
) -> None:
    """Also from that of another network, and a cache that cannot be read goes as a whole."""
    names, root = fill(database, 50), tmp_path / "search"
    prune(database, root)  # nothing there yet
    made(database, root)
    (cache,) = root.glob("net*")
    shutil.copytree(cache, root / "net.0.7")
    shutil.copytree(cache, root / "net.1.2")
    (root / "net.1.2" / "space.npz").write_bytes(b"?")
    with database.write() as session:
        forget(session, "instagram", "u1", NOW)
    prune(database, root)
    assert sorted(path.name for path in root.glob("net*")) == ["net.0.7", "net.1.1"]
    data = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert not [name for name in names[1:] if bytes.fromhex(name) in data]


def test_too_few_vectors(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="needs"):
        made(database, tmp_path)
    fill(database, 5)
    with pytest.raises(NothingToDo, match="5 of the stored"):
        made(database, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from bot.verbs import image_index
from storage.database import Database
image_index.Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
image_index.GROWN = 0.5
found = image_index.ImageIndex(
    Database(sys.argv[1]), Path(sys.argv[2]), "net.1", lambda: np.empty((0, 24), np.float32)
)
found.index = None
import storage.labels
storage.labels.changes = lambda *_: 99999
found.sync()
"""


def test_killed_while_building_the_former_one_serves(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tagecho.db'}"
    database = Database(url)
    database.migrate()
    names, root = fill(database, 40), tmp_path / "search"
    before = made(database, root).similar(vectors(40)[3], 5)
    assert before[0].sha256 == names[3]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, url, str(root)],
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == -signal.SIGKILL
    assert list(root.glob(".making-*"))
    again = made(database, root)
    assert again.similar(vectors(40)[3], 5) == before
    again.clear()
    again.sync()
    assert not list(root.glob(".making-*"))
    assert again.similar(vectors(40)[3], 5) == before
    database.close()


# --- with the shipped network and real photos -----------------------------------------------------

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def crops() -> dict[str, Image]:
    """Each photo in six cuts."""
    found = {}
    for name in PHOTOS:
        photo = np.asarray(getattr(skimage.data, name)())[..., :3]
        high, wide = photo.shape[0] * 2 // 3, photo.shape[1] * 2 // 3
        for n in range(6):
            top, left = (photo.shape[0] - high) * (n // 3), (photo.shape[1] - wide) * (n % 3) // 2
            found[f"{name}{n}"] = np.ascontiguousarray(photo[top : top + high, left : left + wide])
    return found


def as_file(image: Image, path: Path) -> Path:
    Pil.fromarray(image).save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A collection of 24 cuts of photos, indexed by `rebuild`."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "config.toml").write_text('[data]\ndir = "data"\n[models]\nthreads = 1\n')
    settings = Settings(data=Data(dir=folder / "data"))
    with opened(settings) as app:
        for n, (name, image) in enumerate(crops().items()):
            file = io.BytesIO()
            Pil.fromarray(image).save(file, "PNG")
            data = file.getvalue()
            post = make_post(
                name, caption=f"{name} 东京 закат", hashtags=(name[:-1],), taken_at=NOW
            )
            height, width = image.shape[:2]
            stored = Fetched(
                post.media[0],
                MediaState.STORED,
                app.originals.put(data),
                len(data),
                "image/png",
                width,
                height,
            )
            with app.database.write() as session:
                dataset.add(session, post, [stored], NOW - timedelta(minutes=n))
    done = rebuild(settings)
    assert (done.posts, done.images, done.embedded, done.unreadable) == (24, 24, 24, [])
    return settings


def test_a_photo_finds_itself_and_noise_finds_nothing(photos: Settings, tmp_path: Path) -> None:
    for name in ("astronaut3", "coffee0", "chelsea5", "rocket2"):
        path = as_file(crops()[name], tmp_path / "query.png")
        found = find(photos, SearchQuery(image=path, limit=3))
        assert found.remarks == []
        assert found.rows[0]["url"].endswith(f"/{name}/")
        assert found.rows[0]["score"] > 0.99
        only = find(photos, SearchQuery(image=path, hashtags=("coffee",), limit=3)).rows
        assert {row["hashtags"][0] for row in only} <= {"coffee"}
    random = np.random.default_rng(99)
    noise = [
        random.integers(0, 256, (333, 480, 3)),
        random.integers(0, 256, (500, 400, 1)).repeat(3, 2),
        random.normal(120, 35, (300, 300, 3)).clip(0, 255),
        np.kron(random.integers(0, 256, (50, 70, 3)), np.ones((6, 6, 1))),
        np.full((200, 300, 3), 100),
    ]
    for n, picture in enumerate(noise):
        path = as_file(picture.astype(np.uint8), tmp_path / "noise.png")
        assert find(photos, SearchQuery(image=path)).rows == [], n


def test_a_search_by_image_computes_what_it_needs(
    photos: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to know of an index first; what takes long is said, and how long."""
    path = as_file(crops()["coffee0"], tmp_path / "query.png")
    with opened(photos) as app, app.database.write() as session:
        session.exec(delete(Embedding))
    shutil.rmtree(photos.data.dir / "search")
    monkeypatch.setattr("bot.verbs.search.BUILD_SECONDS", 0.0)
    why = r"^1 of .* needs \d+; 23 stored images .*--rebuild.* computes them, in about 1 min$"
    with pytest.raises(NothingToDo, match=why):
        find(photos, SearchQuery(image=path, limit=3))
    monkeypatch.undo()
    found = find(photos, SearchQuery(image=path, limit=3))
    assert found.remarks == []
    assert found.rows[0]["url"].endswith("/coffee0/")


def test_without_the_pictures_of_nothing_noise_would_be_found(photos: Settings) -> None:
    """The floor of random pairs alone does not keep it out: the network sees noise as alike."""
    segmenter = ServingStages(photos).segmenter()
    noise = np.random.default_rng(99).integers(0, 256, (333, 480, 3), dtype=np.uint8)
    embedding = segmenter(noise).embedding
    with opened(photos) as app:
        root = photos.data.dir / "search"
        alike = ImageIndex(app.database, root, segmenter.version, lambda: NOBODY)
        alike.sync()
        assert alike.space is not None
        query = alike.space.project(embedding)
        assert alike.space.floor(query) > alike.space.background
        assert len(alike.space.nonsense) == len(nonsense())
        assert alike.similar(embedding, 5) == []


def test_the_verb(
    photos: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.data.dir.parent)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", "search", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    code, out, err = run("东京 coffee2", "--json")
    rows: list[dict[str, Any]] = json.loads(out)
    assert (code, len(rows), rows[0]["caption"]) == (0, 1, "coffee2 东京 закат")
    assert Path(rows[0]["images"][0]).is_file()
    code, out, _ = run("закат", "--hashtag", "coffee", "--limit", "4")
    assert (code, len(out.splitlines())) == (0, 4)
    assert run("закат", "--best", "--author", "ann")[1].count("@ann") == 20
    assert run("закат", "--since", "2026-03-02")[1] == ""
    for nothing in ('"', "zebra", "NEAR(", "* -"):
        code, out, err = run(nothing)
        assert (code, out, err.strip()) == (0, "", "nothing found")
    picture = as_file(crops()["chelsea1"], tmp_path / "cat.png")
    code, out, err = run("--image", str(picture), "--limit", "1", "chelsea1")
    assert out.split()[0] == "1.000"
    assert out.split()[-3:] == ["chelsea1", "东京", "закат"]
    assert run()[0] == run("--author", "nobody")[0] == 2
    assert run("--image", str(tmp_path))[0] == run("--image", __file__)[0] == 2
    code, out, err = run("--rebuild", "--json")
    assert (code, json.loads(out)["posts"], json.loads(out)["embedded"]) == (0, 24, 0)
    assert "24 posts and 24 images indexed" in err


def test_an_author_must_be_known(photos: Settings) -> None:
    with pytest.raises(UsageError, match="no collected person"):
        find(photos, SearchQuery(author="instagram/zoe"))
    assert len(find(photos, SearchQuery(author="instagram/@ann", limit=50)).rows) == 24
