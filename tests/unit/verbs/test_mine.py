"""`tagecho mine`: what is like a failure is found, labelled and learned from; its gain is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil
from sqlmodel import select

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.learn import photos
from bot.learn.photos import HARD, Layout
from bot.learn.training import HARD_WEIGHT, LearningRecipe, commands
from bot.service.app import opened
from bot.verbs import mine as verb
from bot.verbs.learn import failures_in
from bot.verbs.mine import MineOptions, gain, mine
from models.segment.hard_examples import BACKGROUND, LIGHT, OBJECT
from models.segment.teacher import Taught
from storage import learning, mined
from storage.learning import TrainingPicture, held_out
from storage.tables import MinedImage
from tests.databases import sqlite_in
from tests.learning import fill, people, photo, settings_for

WEIGHTS = {OBJECT: 1.0, BACKGROUND: 0.5, LIGHT: 0.25}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = settings_for(tmp_path)
    sqlite_in(made.data.dir)
    with opened(made) as app:
        fill(app)
    return made


@pytest.fixture
def failures(tmp_path: Path) -> Path:
    """Two photos whose masks are known, in a folder as `models evaluate` takes it."""
    folder = tmp_path / "failures"
    for name in ("photos", "labels"):
        (folder / name).mkdir(parents=True)
    for n, tag in enumerate(("red", "blue")):
        (folder / "photos" / f"{n}.jpg").write_bytes(photo(tag, 900 + n))
        mask = np.zeros((64, 48), np.uint8)
        mask[16:48, 12:36] = 255
        Pil.fromarray(mask).save(folder / "labels" / f"{n}.png")
    return folder


def sure(monkeypatch: pytest.MonkeyPatch, doubt: str = "") -> None:
    """A teacher that is, or is not, sure of everything."""

    def teach(image: Any) -> Taught:
        mask = np.zeros(image.shape[:2], np.float32)
        mask[10:40, 10:30] = 1
        return Taught(mask, doubt)

    monkeypatch.setattr(verb, "teacher", lambda networks: teach)


def test_what_is_mined_comes_first_and_is_never_of_people_who_are_held_out(
    settings: Settings, failures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure(monkeypatch)
    report = mine(settings, failures, MineOptions(WEIGHTS, each=3))
    assert (report.failures, report.measured, report.searched) == (2, 2, 24)
    assert 3 <= report.mined <= 6
    assert report.sure == report.mined
    with opened(settings) as app, app.database.read() as session:
        found = learning.learnable(session, app.optouts)
        hard = mined.images(session)
    assert {one.sha256 for one in found[: len(hard)]} == hard
    assert not any(held_out(one.author) for one in found[: len(hard)])
    again = mine(settings, failures, MineOptions({OBJECT: 0.0, BACKGROUND: 1.0, LIGHT: 0.0}, 1))
    assert 1 <= again.mined <= 2, "a new call takes the place of the former one"
    assert (
        sorted(path.suffix for path in (failures_in(settings) / "photos").iterdir()) == [".png"] * 2
    )


def test_what_the_teacher_is_not_sure_of_does_not_teach(
    settings: Settings, failures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure(monkeypatch, "confidence 0.40")
    (failures / "labels" / "0.png").unlink()
    report = mine(settings, failures, MineOptions(WEIGHTS, each=2))
    assert (report.sure, report.measured) == (0, 1)
    assert {row["doubt"] for row in report.images} == {"confidence 0.40"}
    with opened(settings) as app, app.database.read() as session:
        assert mined.images(session) == set()
        assert len(session.exec(select(MinedImage)).all()) > 0


def test_vectors_are_computed_once(
    settings: Settings, failures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure(monkeypatch)
    mine(settings, failures, MineOptions(WEIGHTS, each=1))
    seen: list[Any] = []
    parts = verb._parts

    def counted(*asked: Any) -> Any:
        seen.append(asked)
        return parts(*asked)

    monkeypatch.setattr(verb, "_parts", counted)
    mine(settings, failures, MineOptions(WEIGHTS, each=1))
    assert len(seen) == 2, "the failures alone"


def test_mistakes_are_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        mine(settings, tmp_path / "none", MineOptions(WEIGHTS))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDo, match="no picture"):
        mine(settings, tmp_path / "empty", MineOptions(WEIGHTS))
    with pytest.raises(NothingToDo, match="no run"):
        gain(settings)


def test_a_set_of_hard_photos_is_drawn_more_often(tmp_path: Path) -> None:
    author = f"instagram/{people(1, out=False)[0]}"
    pictures = tuple(TrainingPicture(f"{n:064x}", n, author, ()) for n in range(3))
    layout = Layout(tmp_path, pictures, ())
    for n, picture in enumerate(pictures):
        for path in (layout.photo(picture), layout.mask(picture)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if n < 2 or path.suffix == ".jpg":  # the teacher was not sure of the last one
                path.write_bytes(b"x")
    assert photos.emphasise(layout, {pictures[1].sha256, pictures[2].sha256}) == 1
    ((_, arguments),) = commands("head", tmp_path, LearningRecipe())
    at = [n for n, value in enumerate(arguments) if value == "--set"]
    assert arguments[at[1] + 1 : at[1] + 4] == [
        str(tmp_path / HARD / "photos"), str(tmp_path / HARD / "masks"), str(HARD_WEIGHT)
    ]  # fmt: skip
    assert (tmp_path / HARD / "photos" / f"{pictures[1].sha256}.jpg").exists()
    photos.clear(tmp_path)
    assert not (tmp_path / HARD).exists()
