"""`tagecho label`: classes, boxes, masks; empty is not failed; a kill loses and doubles nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import select

from bot import config as configuration
from bot.cli import main as cli
from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo, NotInstalled, UsageError
from bot.service.app import networks_of, opened
from bot.verbs import doctor
from bot.verbs import label as verb
from bot.verbs import masks as drawn_masks
from bot.verbs.class_evidence import named
from bot.verbs.label import label
from bot.verbs.labellers import FoundObject, LabelOptions
from models.base import Image
from models.detect import network
from models.serving.catalogue import CATALOGUE
from models.serving.network_process import NetworkFailed, Why
from storage import objects
from storage.forget import forget
from storage.masks import MaskOrigin
from storage.tables import ObjectJob, ObjectLabel
from tests import official
from tests.datasets import put
from tests.paths import ROOT
from tests.pictures import jpeg, noise, photo

CLASSES = ("hat", "shoe", "dog")


class Fixed:
    """Says of each picture what it was told; keeps how often it was asked."""

    eye = None

    def __init__(self, says: Any) -> None:
        self.facts = {"by": ["fixed"], "networks": ["fixed-1"], "classes": list(CLASSES)}
        self.asked = 0
        self._says = says

    def __call__(self, image: Image, evidence: Any) -> list[FoundObject]:
        self.asked += 1
        found: list[FoundObject] = self._says(image)
        return found

    def close(self) -> None:
        """Nothing runs."""


def an_object(image: Image, name: str = "hat", masked: bool = True) -> FoundObject:
    mask = np.zeros(image.shape[:2], bool)
    mask[10:30, 20:50] = True
    return FoundObject(name, 0.9, (20, 10, 50, 30), mask if masked else None, "fixed-1")


def answering(monkeypatch: pytest.MonkeyPatch, says: Any) -> Fixed:
    labeller = Fixed(says)
    monkeypatch.setattr(verb, "open_labeller", lambda settings, options: labeller)
    return labeller


def fill(settings: Settings, count: int = 3) -> None:
    with opened(settings) as app:
        for n in range(count):
            put(app, f"n{n}", f"u{n}", ("hats",), images=[jpeg(noise(n, 80))], into="d")


def test_an_empty_answer_is_an_answer_and_no_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings)
    answers: list[Any] = [[], NetworkFailed(Why.CRASHED, "signal 9"), "one"]

    def says(image: Image) -> list[FoundObject]:
        said = answers.pop(0)
        if isinstance(said, NetworkFailed):
            raise said
        return [an_object(image)] if said else []

    labeller = answering(monkeypatch, says)
    options = LabelOptions(CLASSES, ("fixed",))
    report = label(settings, "d", options)
    assert report.states == {"waiting": 0, "done": 1, "empty": 1, "failed": 1}
    assert report.objects == {"hat": 1}
    assert report.failures[0][1] == "crashed: signal 9"
    answers.append("one")
    assert label(settings, "d", options).answered == 0, "what failed is not asked again"
    again = label(settings, "d", LabelOptions(CLASSES, ("fixed",), again=True))
    assert again.states == {"waiting": 0, "done": 2, "empty": 1, "failed": 0}
    assert labeller.asked == 4


def test_what_would_fail_for_every_image_ends_the_run_and_all_wait(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings)

    def says(image: Image) -> list[FoundObject]:
        raise NetworkFailed(Why.MISSING, "ModuleNotFoundError: no torch")

    answering(monkeypatch, says)
    with pytest.raises(Exception, match="official"):
        label(settings, "d", LabelOptions(CLASSES, ("fixed",)))
    with opened(settings) as app, app.database.read() as session:
        assert {job.state for job in session.exec(select(ObjectJob))} == {"waiting"}


def test_an_image_that_cannot_be_read_fails_alone_and_goes_when_it_is_forgotten(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, 2)
    with opened(settings) as app:
        put(app, "bad", "u9", images=[b"no image"], into="d")
    answering(monkeypatch, lambda image: [an_object(image), an_object(image, "dog", False)])
    report = label(settings, "d", LabelOptions(CLASSES, ("fixed",)))
    assert report.states == {"waiting": 0, "done": 2, "empty": 0, "failed": 1}
    assert report.objects == {"dog": 2, "hat": 2}
    with opened(settings) as app:
        with app.database.write() as session:
            forget(session, "instagram", "u0")
        with app.database.read() as session:
            assert len(session.exec(select(ObjectLabel)).all()) == 2
            assert len(session.exec(select(ObjectJob)).all()) == 2


def test_what_a_person_drew_stands_in_place_of_the_same_object(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings) as app:
        (media,) = put(app, "a", images=[jpeg(noise(1, 80))], into="d")
        sha256 = drawn_masks.masks_of(app, media).sha256
        mask = np.zeros((80, 80), bool)
        mask[8:32, 20:52] = True
        drawn_masks.keep(app, sha256, mask, None, "ana", MaskOrigin.EDITOR)
    answering(monkeypatch, lambda image: [an_object(image, "shoe"), an_object(image, "dog", False)])
    report = label(settings, "d", LabelOptions(CLASSES, ("fixed",)))
    with opened(settings) as app, app.database.read() as session:
        found = objects.found(session, report.recipe, sha256)
    assert [(one.name, one.made_by, one.score) for one in found] == [("shoe", "person", 1.0)]
    assert (found[0].left, found[0].top, found[0].right, found[0].bottom) == (20, 8, 52, 32)


def test_the_embedded_tier_names_the_main_object_by_the_words_of_its_post(
    settings: Settings,
) -> None:
    astronaut = photo("astronaut", 200)
    with opened(settings) as app:
        put(app, "tagged", "u1", ("Helmets",), images=[jpeg(astronaut)], into="d")
        put(
            app,
            "worded",
            "u2",
            (),
            images=[jpeg(astronaut, 80)],
            into="d",
            caption="my red helmet!",
        )
        put(app, "silent", "u3", (), images=[jpeg(astronaut, 70)], into="d")
        put(app, "other", "u4", ("cup",), images=[jpeg(photo("coffee", 200))], into="d")
    report = label(settings, "d", LabelOptions(("red helmet", "helmet")))
    assert report.states["failed"] == 0
    with opened(settings) as app, app.database.read() as session:
        rows = session.exec(select(ObjectLabel)).all()
    names = Counter(row.name for row in rows)
    assert names["helmet"] >= 1
    assert all(row.mask is not None and row.right > row.left for row in rows)
    assert report.states["done"] + report.states["empty"] == 4
    assert report.states["empty"] >= 0


def test_words_of_a_class_in_hashtags_and_captions() -> None:
    classes = ("red hat", "shoe", "dress", "cherry", "dog")
    assert named(classes, "A Red  Hat and cherries", {"shoes": 0.2, "dress": None}) == {
        "red hat": 0.6, "shoe": 0.2, "dress": 0.6, "cherry": 0.6,
    }  # fmt: skip
    assert named(classes, "hotdogs on redhats", {"redhats": 0.9}) == {"red hat": 0.9}
    assert named(("dog",), "", {}) == {}


def test_mistakes_are_told(settings: Settings) -> None:
    fill(settings, 1)
    for options, why in (
        (LabelOptions(()), "one class"),
        (LabelOptions(("a. b",)), "full stops"),
        (LabelOptions(("hat",), ("yolo",)), "there are embedded, owlv2-base"),
        (LabelOptions(("hat",), ("embedded", "owlv2-base")), "stands alone"),
    ):
        with pytest.raises(UsageError, match=why):
            label(settings, "d", options)
    with pytest.raises(UsageError, match="no dataset"):
        label(settings, "nothing", LabelOptions(("hat",)))


def pulled(settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str, *names: str) -> None:
    """Packs whose networks are tests.answerers."""
    for name in names:
        official.put_hub(networks_of(settings), name, partial(_empty, name=name))
    monkeypatch.setattr(network, "ENTRY", "tests.answerers:detector")
    monkeypatch.setenv("TAGECHO_TEST_DETECTOR", how)


def _empty(folder: Path, name: str) -> None:
    for file in CATALOGUE[name].files:
        (folder / file.name).write_bytes(b"")


def test_a_detector_that_crashes_costs_one_image(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings)
    pulled(settings, monkeypatch, "crash on the second", "owlv2-base")
    report = label(settings, "d", LabelOptions(("hat", "dog"), ("owlv2-base",)))
    assert (report.states["done"], report.states["failed"]) == (2, 1)
    assert "signal" in report.failures[0][1]
    assert report.objects == {"dog": 2}
    with opened(settings) as app, app.database.read() as session:
        row = session.exec(select(ObjectLabel)).first()
    assert row is not None
    assert (row.left, row.top, row.right, row.bottom, row.mask) == (8, 8, 40, 32, None)


def test_two_detectors_are_fused_and_views_brought_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, 1)
    pulled(settings, monkeypatch, "well", "owlv2-base", "grounding-dino-tiny")
    by = ("owlv2-base", "grounding-dino-tiny")
    report = label(settings, "d", LabelOptions(("hat", "dog"), by, augment=True))
    assert report.objects == {"dog": 2}, "mirrored, the box is on the other side"
    assert len(report.facts["networks"]) == 2


def test_classes_that_a_detector_does_not_know_and_a_missing_package(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, 1)
    pulled(settings, monkeypatch, "well", "rtdetr-r18")
    with pytest.raises(UsageError, match=r"does not know 'dogs'.*dog"):
        label(settings, "d", LabelOptions(("dogs",), ("rtdetr-r18",)))
    monkeypatch.setenv("TAGECHO_TEST_DETECTOR", "import")
    with pytest.raises(NotInstalled, match="tagecho\\[official\\]"):
        label(settings, "d", LabelOptions(("dog",), ("rtdetr-r18",)))
    with pytest.raises(ModelError, match="models pull owlv2-base"):
        label(settings, "d", LabelOptions(("dog",), ("owlv2-base",)))


def test_doctor_says_how_long_a_detector_takes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\ndir = "{settings.data.dir}"\n', encoding="utf-8")
    pulled(settings, monkeypatch, "well", "rtdetr-r18")
    [found] = [one for one in doctor.examine(path) if one.topic == "objects"]
    assert found.fine
    assert found.text.startswith("rtdetr-r18: ") and "s a picture" in found.text


CODE = """
import os, signal
from bot.verbs import label
from storage import objects
answer, count = objects.answer, [0]
def answered(*args):
    done = answer(*args)
    count[0] += 1
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
if os.environ.get("KILLED"):
    # before the commit of the third answer
    objects.answer = answered
from bot.cli.main import main
main()
"""


def test_killed_twice_none_is_lost_and_none_is_done_twice(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n')
    settings = configuration.load(config)
    fill(settings, 6)
    command = [sys.executable, "-c", CODE, "label", "d", "--classes", "hat", "-c", str(config)]
    for done in (2, 4):
        killed = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "KILLED": "1"}, capture_output=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with opened(settings) as app, app.database.read() as session:
            jobs = session.exec(select(ObjectJob)).all()
        assert len([job for job in jobs if job.state != "waiting"]) == done
    ended = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    printed = json.loads(ended.stdout)
    assert (printed["images"], printed["answered"]) == (6, 2)
    with opened(settings) as app, app.database.read() as session:
        jobs = session.exec(select(ObjectJob)).all()
        rows = session.exec(select(ObjectLabel)).all()
    assert [job.attempts for job in jobs] == [1] * 6
    assert len(rows) == sum(job.state == "done" for job in jobs)


def test_json_and_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n')
    settings = configuration.load(config)
    fill(settings, 1)
    with opened(settings) as app:
        put(app, "bad", "u9", images=[b"no image"], into="d")
    answering(monkeypatch, lambda image: [an_object(image)])
    arguments = ["label", "d", "--classes", "hat, shoe, dog", "-c", str(config), "--json"]
    monkeypatch.setattr(sys, "argv", ["tagecho", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["states"] == {"waiting": 0, "done": 1, "empty": 0, "failed": 1}
    assert printed["objects"] == {"hat": 1}
    assert "why" in printed["failures"][0]


def test_a_dataset_without_images(settings: Settings) -> None:
    fill(settings, 1)
    with opened(settings) as app, app.database.write() as session:
        forget(session, "instagram", "u0")
    with pytest.raises((NothingToDo, UsageError)):
        label(settings, "d", LabelOptions(("hat",)))
