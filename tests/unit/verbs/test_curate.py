"""Curation: verdicts with reasons, groups of duplicates, dry run, resuming, thresholds."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil
from sqlmodel import SQLModel, col, select

from bot.config import Settings
from bot.config.settings import CurationSettings, Data
from bot.config.values import Threshold
from bot.core.errors import NothingToDo
from bot.flow import curate as flow_curation
from bot.service.app import opened
from bot.verbs import curate as curating
from bot.verbs.curate import curate
from storage import dataset
from storage.forget import forget
from storage.tables import Curation, LabelScore, MediaRow, MediaState, Verdict
from tests.databases import NOW
from tests.datasets import add_image
from tests.paths import ROOT
from tests.pictures import jpeg, noise, photo
from tests.waiting import eventually


def verdicts(settings: Settings) -> dict[tuple[int, str], Verdict]:
    with opened(settings) as app, app.database.read() as session:
        return {(v.media, v.check): v for v in session.exec(select(Verdict))}


def originals(settings: Settings) -> dict[int, int | None]:
    with opened(settings) as app, app.database.read() as session:
        return dict(session.exec(select(Curation.media, Curation.original)).all())


def everything(settings: Settings) -> dict[str, list[Any]]:
    """Every row of every table."""
    with opened(settings) as app, app.database.read() as session:
        return {
            name: sorted(map(repr, session.connection().execute(select(table)).all()))
            for name, table in SQLModel.metadata.tables.items()
        }


def test_each_check_has_its_verdict_with_score_and_reason(settings: Settings) -> None:
    black = Pil.new("RGB", (300, 300), "black")
    white = Pil.new("RGB", (300, 300), "white")
    gif = io.BytesIO()
    noise(1).save(gif, "GIF", save_all=True, append_images=[noise(2)])
    with opened(settings) as app:
        good = add_image(app, "good", jpeg(photo()))
        dark = add_image(app, "dark", jpeg(black))
        light = add_image(app, "light", jpeg(white))
        soft = add_image(app, "soft", jpeg(photo("chelsea").resize((20, 20)).resize((300, 300))))
        small = add_image(app, "small", jpeg(photo("coffee", 64)))
        wide = add_image(app, "wide", jpeg(noise(3).resize((900, 240))))
        moving = add_image(app, "moving", gif.getvalue())
    summary = curate(settings)
    found = verdicts(settings)
    for media, check in (
        (dark, "underexposed"),
        (dark, "low_information"),
        (light, "overexposed"),
        (soft, "blur"),
        (small, "small"),
        (wide, "aspect"),
        (moving, "animated"),
    ):
        assert (media, check) in found, check
    assert not [key for key in found if key[0] == good]
    assert found[small, "small"].score == 64
    assert found[small, "small"].reason == "side 64 is under 200"
    assert found[small, "small"].version == f"{flow_curation.VERSION} 200"
    assert summary.images == summary.measured == 7
    assert sum(summary.verdicts.values()) == len(found)
    with opened(settings) as app, app.database.read() as session:
        row = session.get_one(Curation, good)
        assert {"sharpness", "brightness", "information", "side", "duplicate"} <= set(row.scores)
        assert session.get_one(MediaRow, dark).state == MediaState.STORED


def test_exact_and_near_duplicates_name_the_largest_then_the_earliest(settings: Settings) -> None:
    with opened(settings) as app:
        late = add_image(app, "late", jpeg(photo()), days=3)
        copy = add_image(app, "copy", jpeg(photo()), days=2)
        small = add_image(app, "small", jpeg(photo(side=240), 60), days=0)
        other = add_image(app, "other", jpeg(photo("coffee")))
    curate(settings)
    assert originals(settings) == {late: copy, copy: None, small: copy, other: None}
    found = verdicts(settings)
    assert set(found) == {(late, "exact_duplicate"), (small, "near_duplicate")}
    assert "which is earlier" in found[late, "exact_duplicate"].reason
    assert f"image {copy} (320x320)" in found[small, "near_duplicate"].reason
    assert found[small, "near_duplicate"].score >= 0.82
    with opened(settings) as app:
        large = add_image(app, "large", jpeg(photo(side=480)), days=9)
    summary = curate(settings)
    assert summary.measured == summary.compared == 1
    assert originals(settings) == dict.fromkeys((late, copy, small), large) | {
        large: None,
        other: None,
    }
    assert "which is larger" in verdicts(settings)[copy, "near_duplicate"].reason


def test_groups_do_not_depend_on_the_order_of_arrival(settings: Settings) -> None:
    versions = {"a": photo(side=300), "b": photo(side=260), "c": photo(side=360)}
    with opened(settings) as app:
        ids = {name: add_image(app, name, jpeg(image)) for name, image in versions.items()}
    curate(settings)
    at_once = {name: originals(settings)[media] for name, media in ids.items()}
    assert at_once == {"a": ids["c"], "b": ids["c"], "c": None}
    with opened(settings) as app, app.database.write() as session:
        for row in session.exec(select(Curation)):
            session.delete(row)
    for name in ("c", "b", "a"):  # measured one by one, the other way round
        with opened(settings) as app:
            curator, media = app.curator, ids[name]
            row = curator.row(media, curator.measured(np.asarray(versions[name]), 1))
            with app.database.write() as session:
                session.add(row)
            curator.settle()
    assert {name: originals(settings)[media] for name, media in ids.items()} == at_once


def test_a_forgotten_original_is_replaced(settings: Settings) -> None:
    with opened(settings) as app:
        large = add_image(app, "large", jpeg(photo(side=400)))
        one = add_image(app, "one", jpeg(photo(side=300)))
        two = add_image(app, "two", jpeg(photo(side=240)))
    curate(settings)
    assert originals(settings)[two] == large
    with opened(settings) as app, app.database.write() as session:
        forget(session, "instagram", "u-large")
    curate(settings)
    assert originals(settings) == {one: None, two: one}
    assert list(verdicts(settings)) == [(two, "near_duplicate")]


def test_a_dry_run_tells_and_writes_nothing(settings: Settings) -> None:
    with opened(settings) as app:
        first = add_image(app, "first", jpeg(photo()))
    curate(settings)
    with opened(settings) as app:
        second = add_image(app, "second", jpeg(photo(side=240)))
        add_image(app, "dark", jpeg(Pil.new("RGB", (300, 300))))
    before = everything(settings)
    told = curate(settings, dry_run=True)
    assert everything(settings) == before
    real = curate(settings)
    assert everything(settings) != before
    assert [(c.media, c.check, c.change, c.reason) for c in told.changes] == [
        (c.media, c.check, c.change, c.reason) for c in real.changes
    ]
    assert told.new == real.new and told.new["near_duplicate"] == 1
    assert any(f"image {first}" in c.reason for c in told.changes if c.media == second)


def test_changed_thresholds_cost_no_measuring(settings: Settings) -> None:
    with opened(settings) as app:
        for number in range(3):
            add_image(app, f"p{number}", jpeg(noise(number)))
    assert curate(settings).verdicts == {}
    strict = settings.model_copy(update={"curation": CurationSettings(min_side=Threshold(250))})
    summary = curate(strict)
    assert (summary.measured, summary.compared, summary.new) == (0, 0, {"small": 3})
    again = curate(strict)
    assert (again.new, again.changed, again.gone) == ({}, {}, {})
    assert curate(settings).gone == {"small": 3}


def test_percentiles_are_of_the_collected_images(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_curation, "ENOUGH", 10)
    tenth = settings.model_copy(
        update={"curation": CurationSettings(min_brightness=Threshold(10, percentile=True))}
    )
    with opened(settings) as app:
        for n in range(8):
            add_image(app, f"p{n}", jpeg(noise(n)))
        dark = add_image(app, "dark", jpeg(noise(50).point(lambda v: v // 6 + 30)))
    assert "underexposed" not in curate(tenth).verdicts, "nine are too few for a percentile"
    with opened(settings) as app:
        for n in range(2):
            add_image(app, f"q{n}", jpeg(noise(90 + n)))
    curate(tenth)
    found = verdicts(settings)
    assert dark in {media for media, check in found if check == "underexposed"}
    assert "(p10 of 11 images)" in found[dark, "underexposed"].reason


def test_a_new_version_measures_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(settings) as app:
        add_image(app, "one", jpeg(noise(1)))
        add_image(app, "two", jpeg(noise(2)))
    assert curate(settings).measured == 2
    assert curate(settings).measured == 0
    for module in (flow_curation, curating):
        monkeypatch.setattr(module, "VERSION", "2.1")
        monkeypatch.setattr(module, "UNMATCHED", "2.1 unmatched")
    assert curate(settings).measured == 2


def test_poor_label_fit(settings: Settings) -> None:
    with opened(settings) as app:
        fits, misfits = (
            add_image(app, n, jpeg(noise(i))) for i, n in enumerate(("fits", "misfits"))
        )
        tracked = add_image(app, "tracked", jpeg(noise(5)), tags=("sunset", "love"))
        with app.database.write() as session:
            posts = {m.id: m.post for m in session.exec(select(MediaRow))}
            dataset.found_by(session, posts[tracked], "main:hashtag:sunset", "d", "", NOW)
            for media, tag, likely in (
                (fits, "sunset", 0.9),
                (misfits, "sunset", 0.05),
                (tracked, "sunset", 0.8),
                (tracked, "love", 0.01),
            ):
                session.add(
                    LabelScore(
                        post=posts[media],
                        hashtag=tag,
                        method="combined",
                        probability=likely,
                        model_version="net-1",
                        computed_at=NOW,
                    )
                )
    curate(settings)
    found = verdicts(settings)
    assert list(found) == [(misfits, "label_fit")]
    verdict = found[misfits, "label_fit"]
    assert verdict.score == 0.05 and verdict.reason.startswith("#sunset 0.05")
    assert verdict.version == "net-1 0.4"
    with opened(settings) as app, app.database.write() as session:
        for row in session.exec(select(LabelScore).where(LabelScore.hashtag == "sunset")):
            row.probability, row.model_version = 0.9, "net-2"
    assert curate(settings).gone == {"label_fit": 1}


def test_what_cannot_be_read_is_said_and_the_rest_is_done(settings: Settings) -> None:
    with opened(settings) as app:
        add_image(app, "good", jpeg(noise(1)))
        gone = add_image(app, "gone", jpeg(noise(2)))
        with app.database.read() as session:
            app.originals.remove([session.get_one(MediaRow, gone).sha256 or ""])
    summary = curate(settings)
    assert (summary.measured, len(summary.unreadable)) == (1, 1)
    assert f"image {gone}" in summary.unreadable[0]


def test_nothing_stored(settings: Settings) -> None:
    with pytest.raises(NothingToDo):
        curate(settings)


SLOW = """
import sys, threading
from pathlib import Path
from bot.verbs import curate
from bot.config import Settings
from bot.config.settings import Data
from bot.flow.curate import Curator
measured = Curator.measured
seen = []
def slowly(self, pixels, frames):
    seen.append(1)
    if len(seen) == 10:
        threading.Event().wait()  # here it is killed
    return measured(self, pixels, frames)
Curator.measured, curate.KEPT = slowly, 2
curate.curate(Settings(data=Data(dir=Path(sys.argv[1]))))
"""


@pytest.mark.slow
def test_a_killed_run_is_resumed(tmp_path: Path) -> None:
    settings = Settings(data=Data(dir=tmp_path / "data"))
    with opened(settings) as app:
        for number in range(40):
            add_image(app, f"p{number}", jpeg(noise(number % 30)))
    command = [sys.executable, "-c", SLOW, str(tmp_path / "data")]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        with closing(sqlite3.connect(tmp_path / "data" / "tagecho.db")) as looking:
            counted = "SELECT count(*) FROM curations"
            eventually(
                "some are measured",
                lambda: looking.execute(counted).fetchone()[0] >= 4 or process.poll() is not None,
            )
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = len(originals(settings))
    assert 4 <= done < 40
    summary = curate(settings)
    assert summary.measured == 40 - done
    assert summary.new == {"exact_duplicate": 10}
    with opened(settings) as app, app.database.read() as session:
        versions = set(session.exec(select(Curation.version)))
        assert versions == {flow_curation.VERSION}
        assert len(session.exec(select(Curation).where(col(Curation.original) > 0)).all()) == 10
