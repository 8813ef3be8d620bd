"""`labels score`: stored images in, scores in the dataset, and what an interruption costs."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil
from sqlmodel import col, delete, func, select

from bot.cli import main as cli
from bot.config import Settings
from bot.config.settings import Data
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo
from bot.core.events import Author, Media
from bot.service.app import App, opened
from bot.verbs import labels as scoring
from bot.verbs.labels import score
from models.labels.outline import Outlines
from models.segment.segmenter import OnnxSegmenter
from storage import dataset
from storage.dataset import Fetched
from storage.tables import Embedding, LabelScore, MediaRow, MediaState, PostHashtag
from tests.databases import NOW, make_post

TAGS = {"red": (220, 30, 30), "green": (30, 200, 50), "blue": (30, 50, 220)}


def picture(tag: str, seed: int) -> bytes:
    """Colour and pattern both tell the hashtag: any network can see one of them."""
    rows, columns = np.mgrid[:40, :40] // 8 % 2
    pattern = {"red": 0 * rows, "green": rows, "blue": rows ^ columns}[tag]
    noise = np.random.default_rng(seed).normal(0, 12, (40, 40, 3))
    pixels = np.array(TAGS[tag]) * (1 - 0.6 * pattern[..., None]) + noise
    file = io.BytesIO()
    Pil.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def add(app: App, name: str, user: str, tags: tuple[str, ...], images: list[bytes]) -> int:
    media = tuple(Media(i, f"https://m/{name}/{i}") for i in range(len(images)))
    post = make_post(name, author=Author("instagram", user, user), hashtags=tags, media=media)
    fetched = [
        Fetched(item, MediaState.STORED, app.originals.put(data), len(data), "image/png", 40, 40)
        for item, data in zip(media, images, strict=True)
    ]
    with app.database.write() as session:
        return dataset.add(session, post, fetched, NOW)


def fill(app: App, count: int = 30, first: int = 0) -> list[int]:
    """Posts of six people; each picture has the colour that its hashtag says."""
    rows = []
    for number in range(first, first + count):
        tag = list(TAGS)[number % 3]
        pictures = [picture(tag, number)]
        rows.append(add(app, f"p{number}", f"u{number % 6}", (tag, "colour"), pictures))
    return rows


def stored(app: App) -> dict[tuple[int, str, str], float]:
    with app.database.read() as session:
        rows = session.exec(select(LabelScore)).all()
        return {(row.post, row.hashtag, row.method): row.probability for row in rows}


def test_every_hashtag_gets_its_scores(settings: Settings) -> None:
    with opened(settings) as app:
        posts = fill(app)
        wrong = add(app, "wrong", "u9", ("red",), [picture("blue", 99)])
    summary = score(settings)
    assert (summary.posts, summary.images, summary.embedded) == (31, 31, 31)
    assert (summary.hashtags, summary.scores) == (4, 4 * 61)
    assert summary.unreadable == []
    with opened(settings) as app:
        found = stored(app)
        assert len(found) == 4 * 61
        assert all(0 <= value <= 1 for value in found.values())
        red = [found[post, "red", "combined"] for post in posts[::3]]
        assert found[wrong, "red", "combined"] < min(red)
        with app.database.read() as session:
            asked = session.exec(select(LabelScore.method, LabelScore.model_version)).all()
            assert dict(asked) == {
                "knn": summary.model,
                "probe": summary.model,
                "outline": summary.outline,
                "combined": f"{summary.model}+{summary.outline}",
            }
            assert set(session.exec(select(LabelScore.method))) == {
                "knn",
                "probe",
                "outline",
                "combined",
            }
    assert summary.least_likely[0]["hashtag"] == "red"
    assert summary.least_likely[0]["url"].endswith("/wrong/")


def test_a_second_run_computes_what_is_new(settings: Settings) -> None:
    with opened(settings) as app:
        fill(app)
    first = score(settings)
    with opened(settings) as app:
        before = stored(app)
        again = score(settings)
        assert (again.images, again.embedded) == (30, 0)
        assert stored(app) == before
        fill(app, 3, first=30)
    third = score(settings)
    assert (third.images, third.embedded, third.model) == (33, 3, first.model)


def test_outlines_are_kept_beside_the_embeddings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as app:
        fill(app, 12)
        calls: list[str] = []
        usual = {OnnxSegmenter: OnnxSegmenter.__call__, Outlines: Outlines.__call__}
        for eye, call in usual.items():

            def counted(self: object, image: np.ndarray, call: Any = call) -> object:
                calls.append(type(self).__name__)
                return call(self, image)

            monkeypatch.setattr(eye, "__call__", counted)
        score(settings)
        assert Counter(calls) == {"OnnxSegmenter": 12, "Outlines": 12}
        with app.database.write() as session:  # as another version of the outlines would find it
            old = col(Embedding.model_version) == Outlines.version
            session.exec(delete(Embedding).where(old))
        calls.clear()
        again = score(settings)
        assert (again.embedded, again.outlined) == (0, 12)
        assert Counter(calls) == {"Outlines": 12}
        calls.clear()
        assert score(settings).outlined == 0
        assert not calls


def test_many_posts_are_judged_in_parts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as app:
        fill(app, 60)
    usual, parts = scoring.fits, []

    def seen(vectors: Any, outlines: Any, hashtags: Any, authors: list[str]) -> Any:
        parts.append(set(authors))
        return usual(vectors, outlines, hashtags, authors)

    monkeypatch.setattr(scoring, "fits", seen)
    monkeypatch.setattr(scoring, "TOGETHER", 30)
    summary = score(settings)
    assert len(parts) == 2
    assert not parts[0] & parts[1]
    assert summary.scores == 4 * 120
    with opened(settings) as app:
        assert len(stored(app)) == 4 * 120
    least = [row["probability"] for row in summary.least_likely]
    assert least == sorted(least)
    assert least == [], "where nothing is known, nothing is doubted"


def test_an_interruption_keeps_what_was_computed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as app:
        fill(app)
    monkeypatch.setattr(scoring, "BATCH", 4)
    usual, calls = OnnxSegmenter.__call__, 0

    def interrupted(self: OnnxSegmenter, image: np.ndarray) -> object:
        nonlocal calls
        calls += 1
        if calls == 11:
            raise KeyboardInterrupt
        return usual(self, image)

    monkeypatch.setattr(OnnxSegmenter, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(settings)
    with opened(settings) as app, app.database.read() as session:
        assert session.exec(select(func.count()).select_from(Embedding)).one() == 10
        assert session.exec(select(func.count()).select_from(LabelScore)).one() == 0
    resumed = score(settings)
    assert (resumed.images, resumed.embedded, resumed.outlined) == (30, 20, 30)


def test_who_left_and_what_is_broken_stay_out(settings: Settings) -> None:
    with opened(settings) as app:
        posts = fill(app)
        with app.database.write() as session:
            app.optouts.add(session, "instagram", "u0", utc_now())
        bad = b"no picture at all"
        broken = add(app, "broken", "u8", ("red",), [bad])
        both = add(app, "both", "u8", ("red",), [bad, picture("red", 77)])
        gone = add(app, "gone", "u8", ("red",), [picture("red", 78)])
        app.originals.remove([_sha(app, gone)])
    summary = score(settings)
    assert len(summary.unreadable) == 2
    assert any(
        "unsupported-format" in text or "not-an-image" in text for text in summary.unreadable
    )
    assert any("cannot be read" in text for text in summary.unreadable)
    with opened(settings) as app:
        judged = {post for post, _, _ in stored(app)}
    assert judged == {both, *(post for i, post in enumerate(posts) if i % 6)}
    assert broken not in judged


def test_old_scores_and_vectors_of_other_versions_go(settings: Settings) -> None:
    with opened(settings) as app:
        posts = fill(app, 12)
        with app.database.write() as session:
            for table in (
                Embedding(
                    sha256=_sha(app, posts[0]), model_version="old", vector=b"", computed_at=NOW
                ),
                LabelScore(
                    post=posts[0],
                    hashtag="colour",
                    method="former",
                    probability=0.1,
                    model_version="old",
                    computed_at=NOW,
                ),
            ):
                session.add(table)
    summary = score(settings)
    with opened(settings) as app:
        assert "former" not in {method for _, _, method in stored(app)}
        with app.database.read() as session:
            left = set(session.exec(select(Embedding.model_version)))
            assert left == {summary.model, summary.outline}


def test_nothing_to_judge(settings: Settings) -> None:
    with pytest.raises(NothingToDo, match="no stored image"):
        score(settings)
    with opened(settings) as app:
        add(app, "untagged", "u1", (), [picture("red", 1)])
    with pytest.raises(NothingToDo, match="no stored image with a hashtag"):
        score(settings)
    with opened(settings) as app:
        add(app, "broken", "u2", ("red",), [b"no picture"])
    score_of_one = score(settings)
    assert score_of_one.scores == 0
    assert len(score_of_one.unreadable) == 1


def test_the_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[data]\ndir = "data"\n')
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", "labels", "score", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    assert run()[0] == 8
    with opened(Settings(data=Data(dir=tmp_path / "data"))) as app:
        fill(app, 9)
        with app.database.read() as session:
            tags = session.exec(select(func.count(col(PostHashtag.post)))).one()
    code, out, err = run("--json")
    found = json.loads(out)
    assert (code, found["scores"], found["embedded"]) == (0, 4 * tags, 9)
    assert "9 of 9 images were new" in err
    assert len(found["least_likely"]) <= 10
    assert all(row["probability"] < 0.5 for row in found["least_likely"])
    code, out, err = run()
    assert (code, "0 of 9 images were new" in err) == (0, True)
    assert out == "" and "nothing tells" in err
    with opened(Settings(data=Data(dir=tmp_path / "data"))) as app:
        add(app, "broken", "u8", ("red",), [b"no picture"])
    assert run()[0] == 1  # the rest was scored; this image was not


def _sha(app: App, post: int) -> str:
    with app.database.read() as session:
        found = session.exec(select(MediaRow.sha256).where(MediaRow.post == post)).one()
    assert found is not None
    return found
