"""`tagecho learn`: a run to its end, and everything that can come in between."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pil
from sqlmodel import col, select

from bot.cli import main as cli
from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import (
    AccountLocked,
    ModelError,
    NothingToDo,
    NotInstalled,
    StorageError,
    TagechoError,
)
from bot.learn import photos
from bot.learn import run as flow
from bot.learn.child_process import Child
from bot.learn.low_priority import command
from bot.learn.replies_first import TimeLimit, Turn
from bot.learn.training import Teacher
from bot.service.app import ServingStages, opened
from bot.verbs import forget as removal
from bot.verbs import learn as learning
from bot.verbs import masks
from bot.verbs.mine import gain
from models.segment.learned_networks import Store
from models.serving import packs
from models.serving.catalogue import CATALOGUE
from models.serving.promotion_rule import FEWEST, SHIPPED
from models.serving.shelf import Record, Shelf
from storage import forget as forgetting
from storage import learning as runs
from storage.learning import RunState, held_out
from storage.masks import MaskOrigin
from storage.tables import (
    LearningAuthor,
    LearningRun,
    MediaRow,
    MinedImage,
    PostRow,
    Reply,
    ReplyState,
)
from tests import trainer
from tests.databases import NOW, queue_reply
from tests.learning import add_photo, fill, people, photo, settings_for
from tests.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from models.segment.network import SegmentNet

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the [learn] extra (torch)"
)
Works = dict[str, list[str]]
PLAN: Works = {
    "dino": ["count", "3"],
    "masks": ["masks", "held_out"],
    "head": ["count", "3"],
    "export": ["export"],
}


@pytest.fixture(autouse=True)
def quick(small_segmenter: Path) -> None:
    """Nothing here depends on what the network computes."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Works:
    """The trainings are tests.trainer; a test may change what one of them does."""
    works = dict(PLAN)

    def commands(
        stage: str, folder: Path, _recipe: object, _teacher: Teacher | None
    ) -> list[tuple[str, list[str]]]:
        work, *rest = works.get(stage, [""])
        if not work:
            return []
        return [("tests.trainer", [work, str(folder), *rest])]

    monkeypatch.setattr(flow, "commands", commands)
    monkeypatch.setattr(learning, "check_installed", lambda: None)
    return works


def served(settings: Settings) -> str:
    stages = ServingStages(settings)
    version = stages.segmenter().version
    stages.runtime.close()
    return version


def row(settings: Settings) -> LearningRun:
    with opened(settings) as app, app.database.read() as session:
        return runs.runs(session, 1)[0]


def quiet(_text: str) -> None:
    """What a run says, where a test does not look at it."""


def filled(settings: Settings, train: int = 15, out: int = 5) -> None:
    """Enough for a run; not for a network that could be proved to be better."""
    with opened(settings) as app:
        fill(app, train, out)


def provable(settings: Settings) -> None:
    """So many that a network can be: five posts of each hashtag, and as many held out as count."""
    filled(settings, 15, FEWEST)


@pytest.fixture
def maskless(plan: Works) -> Works:
    """For tests that end before the proof, or do not look at it."""
    del plan["masks"]
    return plan


# --- to the end -----------------------------------------------------------------------------------


def test_a_better_network_comes_into_service_and_can_be_taken_back(
    settings: Settings, plan: Works
) -> None:
    provable(settings)
    before, said = served(settings), list[str]()
    killed_at_its_end = settings.data.dir / "models/runs/99/photos"
    killed_at_its_end.mkdir(parents=True)
    serving = ServingStages(settings)  # as a service that runs all the while
    old = serving.segmenter().version
    done = learning.learn(settings, said.append)
    assert done["state"] == RunState.PROMOTED, done["reason"]
    assert done["evidence"]["knn"]["new"] == done["evidence"]["knn"]["old"]
    assert done["evidence"]["agreement"]["new"] == 1.0
    assert done["data"] == {
        "images": 15, "held_out_images": FEWEST, "authors": 6, "held_out_authors": 6, "hashtags": 4,
    }  # fmt: skip
    assert not killed_at_its_end.exists(), "no photo of a run that is over stays"
    assert any("15 to learn from" in line for line in said)
    assert any(line.startswith("dino: from step 0") for line in said)
    assert "start: starts from embedded" in said
    assert "masks: taught by embedded" in said
    assert done["teacher"] == {"network": SHIPPED, "pack": ""}

    version = done["version"]
    assert served(settings).startswith(version)
    assert serving.segmenter().version == served(settings) != old, "without a restart"
    folder = settings.data.dir / "models" / "segment" / version
    assert {path.name for path in folder.iterdir()} == {
        "segment.onnx", "manifest.json", "card.md",
    }  # fmt: skip
    assert "agreement with the teacher is better" in (folder / "card.md").read_text()
    assert "It began with embedded." in (folder / "card.md").read_text()
    assert "embedded alone, which is self-training" in (folder / "card.md").read_text()
    with opened(settings) as app, app.database.read() as session:
        taught = {row.user_id for row in session.exec(select(LearningAuthor))}
    assert taught == set(people(6, out=False))
    left = {
        path.name for path in (settings.data.dir / "models/runs/1").rglob("*") if path.is_file()
    }
    assert left == {"log.txt", "steps.txt"}, "nothing that was made from a photo"

    assert learning.rollback(settings) == {"current": SHIPPED, "previous": version}
    assert served(settings) == before
    assert learning.promote(settings, None, 1) == {"current": version, "previous": SHIPPED}
    assert learning.promote(settings, SHIPPED, None)["current"] == SHIPPED
    serving.runtime.close()


def test_a_network_that_is_no_better_is_kept_out_and_can_be_promoted_by_hand(
    settings: Settings, plan: Works
) -> None:
    provable(settings)
    plan["export"] = ["export", "0.999"]  # and so the masks of the teacher are not its own
    before = served(settings)
    done = learning.learn(settings, quiet)
    assert done["state"] == RunState.KEPT_OUT
    assert "not proved to be better" in done["reason"]
    assert served(settings) == before
    assert learning.promote(settings, done["version"], None)["current"] == done["version"]
    assert served(settings).startswith(done["version"])


def test_corrected_masks_decide(settings: Settings, plan: Works) -> None:
    """Fifty of them that the network in service made: the new one cannot be better."""
    filled(settings)
    stages = ServingStages(settings)
    folder = settings.data.dir / "masks"
    for name in ("photos", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(50):
        path = folder / "photos" / f"c{number}.jpg"
        path.write_bytes(photo("red", 500 + number))
        mask = stages.segmenter()(np.asarray(Pil.open(path))).mask
        Pil.fromarray(mask.astype(np.uint8)).save(folder / "labels" / f"c{number}.png")
    stages.runtime.close()
    with opened(settings) as app:
        taught = people(1, out=False)[0]
        add_photo(app, "corrected", taught, ("red",), photo("red", 500))
    done = learning.learn(settings, quiet)
    assert done["evidence"]["agreement"]["new"] == 1.0, "the teacher would have let it in"
    assert done["evidence"]["corrected"]["count"] == 50
    assert (done["state"], "corrected masks" in done["reason"]) == (RunState.KEPT_OUT, True)
    assert done["images"] == 15, "what was corrected is never trained on"


def test_what_people_draw_teaches_and_decides(
    settings: Settings, plan: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It replaces the masks of the teacher; of people who are held out it judges."""
    filled(settings)
    taught, drew = {}, {}
    with opened(settings) as app:
        with app.database.read() as session:
            pictures = runs.learnable(session, app.optouts)
        for out in (False, True):
            one = next(each for each in pictures if held_out(each.author) is out)
            mask = np.zeros((64, 48), np.bool_)
            mask[:, :24] = True
            masks.keep(app, one.sha256, mask, 0, "eva", MaskOrigin.EDITOR)
            drew[out] = one.sha256
    seen = photos.draw

    def watched(layout: photos.Layout, drawn: photos.DrawnLessons) -> int:
        count = seen(layout, drawn)
        for picture in layout.train:
            if layout.mask(picture).exists():
                with Pil.open(layout.mask(picture)) as image:
                    taught[picture.sha256] = np.asarray(image) > 127
        return count

    monkeypatch.setattr(photos, "draw", watched)
    done = learning.learn(settings, quiet)
    assert done["data"]["drawn"] == 1
    assert taught[drew[False]][:, :24].all() and not taught[drew[False]][:, 24:].any()
    assert drew[True] not in taught
    assert done["evidence"]["corrected"]["count"] == 1


def test_the_gain_on_known_failures_is_shown_beside_that_on_all(
    settings: Settings, plan: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was mined is shown more often; failures are measured, and never learned from."""
    plan["masks"] = ["masks", "train"]
    filled(settings)
    folder = learning.failures_in(settings)
    for name in ("photos", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        (folder / "photos" / f"f{number}.jpg").write_bytes(photo("red", 700 + number))
        mask = np.zeros((64, 48), np.uint8)
        mask[16:48, 12:36] = 255
        Pil.fromarray(mask).save(folder / "labels" / f"f{number}.png")
    with opened(settings) as app:
        taught = people(1, out=False)[0]
        add_photo(app, "failed", taught, ("red",), photo("red", 700))
        with app.database.write() as session:
            hard = [one for one in runs.learnable(session, app.optouts) if not held_out(one.author)]
            for one in hard[-4:]:
                session.add(
                    MinedImage(sha256=one.sha256, failure="f" * 64, score=0.9, aspects={}, at=NOW)
                )
    shown: list[int] = []
    emphasise = photos.emphasise

    def watched(layout: photos.Layout, wanted: Collection[str]) -> int:
        shown.append(emphasise(layout, wanted))
        assert len(list((layout.folder / photos.HARD / "photos").iterdir())) == shown[-1]
        return shown[-1]

    monkeypatch.setattr(photos, "emphasise", watched)
    done = learning.learn(settings, quiet)
    assert done["data"]["hard"] == shown[0] > 0
    assert done["images"] == 15, "a failure is never trained on"
    assert done["evidence"]["failures"]["count"] == 3
    found = gain(settings)
    assert (found["run"], found["hard"]) == (done["run"], shown[0])
    assert found["failures"] == done["evidence"]["failures"]
    assert not (settings.data.dir / "models" / "runs" / str(done["run"]) / photos.HARD).exists()


# --- bad input ------------------------------------------------------------------------------------


def refused(settings: Settings, error: type[TagechoError], match: str) -> LearningRun:
    """The run ends with this error, says so in its row, and changes nothing in service."""
    store = Store(settings.data.dir / "models")
    before = store.pointer
    with pytest.raises(error, match=match):
        learning.learn(settings, quiet)
    assert store.pointer == before
    found = row(settings)
    assert found.model_version == "" and found.reason
    return found


def test_no_image(settings: Settings, plan: Works) -> None:
    assert refused(settings, NothingToDo, "0 images may be used").state == RunState.FAILED


def test_one_image(settings: Settings, plan: Works) -> None:
    filled(settings, 1, 0)
    assert refused(settings, NothingToDo, "1 image may be used").state == RunState.FAILED
    tiny = settings.model_copy(
        update={"learn": settings.learn.model_copy(update={"least_images": 1})}
    )
    refused(tiny, NothingToDo, "1 image may be used; 2 are needed")


def test_images_that_are_all_the_same(settings: Settings, plan: Works) -> None:
    """Other bytes, one sight."""
    with opened(settings) as app:
        for number, user in enumerate(people(30, out=False)):
            data = photo("red", 1) + b"\0" * number
            add_photo(app, f"p{number}", user, ("red",), data)
    refused(settings, NothingToDo, "all 30 images look the same")


def test_images_that_cannot_be_read(settings: Settings, plan: Works) -> None:
    with opened(settings) as app:
        for number, user in enumerate(people(30, out=False)):
            add_photo(app, f"p{number}", user, ("red",), b"no image %d" % number)
    refused(settings, NothingToDo, "0 images may be used")


@pytest.mark.parametrize(
    ("work", "error", "match", "state"),
    [
        ("nan", ModelError, "dino: .*step 12: the loss is nan", RunState.FAILED),
        ("checkpoint", ModelError, "not a checkpoint", RunState.FAILED),
        ("full", StorageError, "disk is full", RunState.RUNNING),
        ("memory", ModelError, r"killed \(SIGKILL\)", RunState.RUNNING),
    ],
)
def test_a_training_that_breaks(
    settings: Settings,
    maskless: Works,
    work: str,
    error: type[TagechoError],
    match: str,
    state: RunState,
) -> None:
    filled(settings)
    maskless["dino"] = [work]
    found = refused(settings, error, match)
    assert (found.state, found.stage) == (state, "dino")
    kept = (settings.data.dir / "models/runs/1/photos").exists()
    assert kept is (state == RunState.RUNNING), "photos stay only for a run that can go on"
    if state == RunState.RUNNING:
        maskless["dino"] = ["count", "3"]
        assert learning.learn(settings, quiet)["run"] == 1


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_is_given_up(
    settings: Settings, maskless: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(settings)
    monkeypatch.setattr(flow, "ATTEMPTS", 2)
    maskless["dino"] = ["memory"]
    for _ in range(flow.ATTEMPTS):
        refused(settings, ModelError, "killed")
    found = refused(settings, ModelError, "failed after 2 attempts; the last: .*killed")
    assert (found.id, found.state) == (1, RunState.FAILED)


def test_a_full_disk_is_seen_before_it_is_full(
    settings: Settings, plan: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(settings)
    usage = shutil.disk_usage(settings.data.dir)._replace(free=1_000_000)
    monkeypatch.setattr(photos.shutil, "disk_usage", lambda _path: usage)
    refused(settings, StorageError, r"needs \d+ MB, 1 MB are free")


def test_a_damaged_network_in_service(settings: Settings, plan: Works) -> None:
    """Nothing is begun, nothing is changed, and it says what helps."""
    provable(settings)
    done = learning.learn(settings, quiet)
    folder = settings.data.dir / "models" / "segment"
    path = folder / done["version"] / "segment.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    pointer = (folder / "current").read_text()
    with pytest.raises(ModelError, match=r"damaged.*rollback"):
        learning.learn(settings, quiet)
    assert (folder / "current").read_text() == pointer
    assert row(settings).id == 1
    learning.rollback(settings)
    assert served(settings)


def test_without_the_extra(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else 1)
    with pytest.raises(NotInstalled, match=r"learning needs torch: pip install 'tagecho\[learn\]'"):
        learning.learn(settings, quiet)


# --- interruptions --------------------------------------------------------------------------------


@contextlib.contextmanager
def after(work: Callable[[], Any], condition: Callable[[], bool]) -> Iterator[None]:
    """Does `work` in a thread as soon as `condition` holds."""

    def watch() -> None:
        eventually("the moment to do it", condition)
        work()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def steps(settings: Settings) -> int:
    path = settings.data.dir / "models/runs/1/steps.txt"
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # it is being written
        return 0


def test_ctrl_c_leaves_a_run_that_goes_on(settings: Settings, maskless: Works) -> None:
    filled(settings)
    maskless["dino"] = ["count", trainer.ENDLESS]

    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with after(press, lambda: steps(settings) > 3), pytest.raises(KeyboardInterrupt):
        learning.learn(settings, quiet)
    found, done = row(settings), steps(settings)
    assert (found.state, found.stage, found.reason) == (RunState.RUNNING, "dino", "interrupted")
    assert not learning.status(settings)["running"]
    maskless["dino"] = ["count", str(done + 2)]
    said: list[str] = []
    assert learning.learn(settings, said.append)["run"] == 1
    assert f"dino: from step {done}" in said
    assert "run 1: continues with dino" in said


def test_new_leaves_what_was_broken_off(settings: Settings, maskless: Works) -> None:
    filled(settings)
    maskless["dino"] = ["memory"]
    refused(settings, ModelError, "killed")
    first = settings.data.dir / "models/runs/1"
    assert (first / "photos").exists()
    maskless["dino"] = ["count", "1"]
    assert learning.learn(settings, quiet, fresh=True)["run"] == 2
    assert not (first / "photos").exists()
    with opened(settings) as app, app.database.read() as session:
        states = {run.id: run.state for run in runs.runs(session)}
    assert states[1] == RunState.CANCELLED


def test_somebody_left_meanwhile(settings: Settings, maskless: Works) -> None:
    """What was being learned from them is thrown away, and a new run begins without them."""
    filled(settings, out=10)
    maskless["head"] = ["memory"]
    refused(settings, ModelError, "killed")
    with opened(settings) as app, app.database.write() as session:
        app.optouts.add(session, "instagram", people(1, out=False)[0], utc_now())
    maskless["head"] = ["count", "1"]
    said: list[str] = []
    done = learning.learn(settings, said.append)
    assert (done["run"], done["images"], done["data"]["authors"]) == (2, 12, 5)
    assert any("removed meanwhile" in line for line in said)


def test_somebody_left_before_the_decision(settings: Settings, plan: Works) -> None:
    provable(settings)
    before = served(settings)

    def leave(text: str) -> None:
        if text.startswith("proof: 35/35"):
            with opened(settings) as app, app.database.write() as session:
                app.optouts.add(session, "instagram", people(1, out=False)[0], utc_now())

    with pytest.raises(TagechoError, match="3 of the images that it used were removed"):
        learning.learn(settings, leave)
    assert row(settings).state == RunState.CANCELLED
    assert served(settings) == before
    assert Store(settings.data.dir / "models").versions() == []


# --- what a run begins with -----------------------------------------------------------------------


def promoted(settings: Settings, *taught: str) -> str:
    """A network of an earlier run is in service, which learned from these people."""
    export = settings.data.dir / "earlier"
    export.mkdir(parents=True)
    trainer.export(export, fields=2)
    networks = learning.StoredNetworks(settings)
    version = networks.keep(export / "export", "card")
    networks.promote(version)
    with opened(settings) as app, app.database.write() as session:
        run = runs.begin(session, {}, utc_now()).id or 0
        runs.learned_from(session, run, [f"instagram/{user}" for user in taught])
        runs.finish(session, run, RunState.PROMOTED, "", utc_now(), model_version=version)
    return version


def begun(settings: Settings, plan: Works, run: int) -> tuple[str, bytes]:
    """What a run that is broken off in its second stage began with: what its row says, its file."""
    works, plan["dino"] = plan["dino"], ["memory"]
    refused(settings, ModelError, "dino: .* was killed")
    plan["dino"] = works
    file = settings.data.dir / "models/runs" / str(run) / "start.onnx"
    with opened(settings) as app, app.database.read() as session:
        start = session.get_one(LearningRun, run).facts["start"]
    return start, file.read_bytes() if file.exists() else b""


def network_of(settings: Settings, version: str) -> bytes:
    return (Store(settings.data.dir / "models").weights(version).path).read_bytes()


def card_of(settings: Settings, version: str) -> str:
    return (settings.data.dir / "models/segment" / version / "card.md").read_text()


def removed(settings: Settings, user: str) -> None:
    with opened(settings) as app, app.database.write() as session:
        forgetting.forget(session, "instagram", user)


def test_it_begins_with_the_network_in_service_and_inherits_its_people(
    settings: Settings, maskless: Works
) -> None:
    filled(settings)
    version = promoted(settings, "earlier-1", "earlier-2")
    assert begun(settings, maskless, 2) == (version, network_of(settings, version))
    done = learning.learn(settings, quiet)
    assert (done["run"], done["start"]) == (2, version)
    assert not (settings.data.dir / "models/runs/2/start.onnx").exists()
    card = card_of(settings, done["version"])
    assert f"It began with {version}." in card
    assert f"What {version} learned from, it learned from as well." in card
    with opened(settings) as app, app.database.write() as session:
        assert runs.taught(session, 2) >= {"instagram/earlier-1", "instagram/earlier-2"}
        gone = forgetting.forget(session, "instagram", "earlier-1")
        assert [each["run"] for each in gone.contained.models] == [1, 2]


@pytest.mark.parametrize("known", [True, False])
def test_it_does_not_begin_with_a_network_that_knew_who_left(
    settings: Settings, maskless: Works, known: bool
) -> None:
    """Nor with one of which nobody knows whom it knew."""
    filled(settings)
    version = promoted(settings, "earlier-1", "earlier-2")
    if known:
        removed(settings, "earlier-1")
    else:
        with opened(settings) as app, app.database.write() as session:
            session.delete(session.get_one(LearningRun, 1))
    maskless["dino"] = ["memory"]
    said: list[str] = []
    with pytest.raises(ModelError, match="killed"):
        learning.learn(settings, said.append)
    gone = "1 of the people whose images it used were forgotten"
    why = gone if known else "its people are not recorded"
    assert f"start: does not start from {version}: {why}" in said
    assert "start: starts from embedded" in said
    with opened(settings) as app, app.database.read() as session:
        run = runs.runs(session, 1)[0]
        assert run.facts["start"] == SHIPPED
        assert not [who for who in runs.taught(session, run.id or 0) if "earlier" in who]


def test_a_network_that_does_not_fit_is_not_begun_with(settings: Settings, maskless: Works) -> None:
    filled(settings)
    maskless["start"] = ["checkpoint"]
    assert begun(settings, maskless, 1) == ("", b"")
    assert "It began with random weights." in card_of(
        settings, learning.learn(settings, quiet)["version"]
    )


def test_from_scratch(settings: Settings, maskless: Works) -> None:
    filled(settings)
    maskless["start"] = ["memory"]  # is not asked
    scratch = settings.model_copy(
        update={"learn": settings.learn.model_copy(update={"start": "scratch"})}
    )
    assert begun(scratch, maskless, 1) == ("", b"")


def test_a_run_goes_on_with_what_it_began_with(settings: Settings, maskless: Works) -> None:
    """Killed while it chose, and while it learned; settings and service are others by then."""
    filled(settings)
    shipped = (SHIPPED, network_of(settings, SHIPPED))
    maskless["start"] = ["memory"]
    assert refused(settings, ModelError, "killed").stage == "start"
    del maskless["start"]
    assert begun(settings, maskless, 1) == shipped
    promoted(settings)
    changed = settings.model_copy(
        update={"learn": settings.learn.model_copy(update={"start": "scratch"})}
    )
    maskless["dino"] = ["memory"]
    with pytest.raises(ModelError, match="killed"):
        learning.learn(changed, quiet)
    with opened(settings) as app, app.database.read() as session:
        run = session.get_one(LearningRun, 1)
    assert (run.facts["start"], run.facts["begun"]) == (SHIPPED, 2)
    assert (settings.data.dir / "models/runs/1/start.onnx").read_bytes() == shipped[1]


# --- whose masks it learns from -------------------------------------------------------------------


@pytest.fixture
def teachers(plan: Works, monkeypatch: pytest.MonkeyPatch) -> list[Teacher]:
    """With `plan`: whom the stages `masks` and `export` were given."""
    found: list[Teacher] = []
    commands = flow.commands

    def seen(stage: str, folder: Path, recipe: Any, teacher: Teacher | None = None) -> Any:
        if teacher is not None:
            found.append(teacher)
        return commands(stage, folder, recipe, teacher)

    monkeypatch.setattr(flow, "commands", seen)
    return found


def shelved(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack as `models pull` leaves it, with other bytes than the real one's."""
    data = name.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    pack = CATALOGUE[name]
    pack = replace(pack, files=(replace(pack.files[0], sha256=sha256),))
    monkeypatch.setitem(CATALOGUE, name, pack)
    shelf = Shelf(home, pack)
    shelf.folder.mkdir(parents=True)
    shelf.path(pack.files[0]).write_bytes(data)
    shelf.record(pack.files[0], Record(sha256, len(data), "catalogue"))
    return shelf.path(pack.files[0])


def serving(settings: Settings, pack: str) -> Settings:
    models = settings.models.model_copy(update={"segmenter": pack})
    return settings.model_copy(update={"models": models})


def taught(settings: Settings, plan: Works) -> LearningRun:
    """A new run, broken off when it has its masks."""
    plan["head"] = ["memory"]
    with pytest.raises(ModelError, match=r"head: .* was killed"):
        learning.learn(settings, quiet, fresh=True)
    return row(settings)


def test_the_network_in_service_teaches_and_hands_on_its_people(
    settings: Settings, maskless: Works, teachers: list[Teacher]
) -> None:
    """Also where the new one begins with random weights. Not after one of them has left."""
    filled(settings)
    version = promoted(settings, "earlier-1")
    scratch = settings.model_copy(
        update={"learn": settings.learn.model_copy(update={"start": "scratch"})}
    )
    home = settings.data.dir / "models"
    run = taught(scratch, maskless)
    assert teachers == [Teacher(home / "segment" / version, "", home)]
    assert (run.facts["start"], run.facts["teacher"]) == ("", {"network": version, "pack": ""})
    with opened(settings) as app, app.database.read() as session:
        assert "instagram/earlier-1" in runs.taught(session, run.id or 0)
    removed(settings, "earlier-1")
    run = taught(scratch, maskless)
    assert run.facts["teacher"]["network"] == SHIPPED
    assert teachers[1:] == [Teacher(packs.EMBEDDED, "", home)]
    with opened(settings) as app, app.database.read() as session:
        assert not [who for who in runs.taught(session, run.id or 0) if "earlier" in who]


def test_an_official_pack_that_is_here_teaches_too(
    settings: Settings,
    maskless: Works,
    teachers: list[Teacher],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The quickest, or the one that serves. A run keeps whom it has."""
    filled(settings)
    home = settings.data.dir / "models"
    for name in ("u2net", "u2netp"):
        shelved(home, name, monkeypatch)
    assert taught(serving(settings, "u2net"), maskless).facts["teacher"]["pack"] == "u2net"
    assert taught(settings, maskless).facts["teacher"] == {"network": SHIPPED, "pack": "u2netp"}
    assert [teacher.pack for teacher in teachers] == ["u2net", "u2netp"]
    maskless["head"], maskless["export"] = ["count", "3"], ["memory"]
    with pytest.raises(ModelError, match=r"export: .* was killed"):
        learning.learn(serving(settings, "u2net"), quiet)
    assert (row(settings).id, teachers[-1].pack) == (2, "u2netp")


def test_a_damaged_pack_is_seen_before_anything_begins(
    settings: Settings, plan: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(settings)
    path = shelved(settings.data.dir / "models", "u2netp", monkeypatch)
    path.write_bytes(b"others")
    with pytest.raises(ModelError, match=r"u2netp.*is damaged.*pull u2netp again"):
        learning.learn(settings, quiet)
    with pytest.raises(ModelError, match="u2net is not here: `tagecho models pull u2net`"):
        learning.learn(serving(settings, "u2net"), quiet)
    with opened(settings) as app, app.database.read() as session:
        assert runs.runs(session, 1) == []


def test_somebody_left_whom_only_its_start_knew(settings: Settings, maskless: Works) -> None:
    filled(settings)
    version = promoted(settings, "earlier-1")
    assert begun(settings, maskless, 2)[0] == version
    removed(settings, "earlier-1")
    maskless["dino"] = ["memory"]
    said: list[str] = []
    with pytest.raises(ModelError, match="killed"):
        learning.learn(settings, said.append)
    why = "1 of the people whose images it, or its start, used were forgotten meanwhile"
    assert f"run 2 cannot continue: {why}" in said
    assert row(settings).facts["start"] == SHIPPED


def test_somebody_whom_only_its_start_knew_left_before_the_decision(
    settings: Settings, plan: Works
) -> None:
    provable(settings)
    version = promoted(settings, "earlier-1")

    def leave(text: str) -> None:
        if text.startswith("proof: 35/35"):
            removed(settings, "earlier-1")

    with pytest.raises(TagechoError, match="its start, used were forgotten"):
        learning.learn(settings, leave)
    assert row(settings).state == RunState.CANCELLED
    assert Store(settings.data.dir / "models").versions() == [version]


# --- who is forgotten -----------------------------------------------------------------------------


def of_a_person(settings: Settings, user: str) -> tuple[list[str], int]:
    """SHA-256 of what they posted, and how many files under runs/ name one of these."""
    with opened(settings) as app, app.database.read() as session:
        mine = select(MediaRow.sha256).join(PostRow, col(PostRow.id) == col(MediaRow.post))
        hashes = [sha or "" for sha in session.exec(mine.where(PostRow.author_id == user))]
    return hashes, named_in_runs(settings, hashes)


def named_in_runs(settings: Settings, hashes: list[str]) -> int:
    files = [p for p in (settings.data.dir / "models/runs").rglob("*") if p.is_file()]
    texts = [path.name.encode() + b"\n" + path.read_bytes() for path in files]
    return sum(any(sha.encode() in text for sha in hashes) for text in texts)


@pytest.mark.parametrize("out", [False, True])
def test_who_is_forgotten_leaves_a_broken_off_run_at_once(
    settings: Settings, plan: Works, out: bool
) -> None:
    provable(settings)
    plan["head"] = ["memory"]
    refused(settings, ModelError, "killed")
    someone, another = people(2, out=out)
    with opened(settings) as app:  # the same bytes, posted by both: their author stays
        shared = photo("blue", 900)
        add_photo(app, "s1", someone, ("blue",), shared)
        add_photo(app, "s2", another, ("blue",), shared)
    hashes, files = of_a_person(settings, someone)
    others, others_files = of_a_person(settings, another)
    assert files > len(hashes) - 1 > 2, "photos, masks and the list"
    counts = removal.forget(settings, f"instagram/{someone}")
    assert counts["images"] == len(hashes)
    assert named_in_runs(settings, hashes) == 0
    lists = 1 if out else 2  # of whom it may learn from, hashtags are written down, too
    assert named_in_runs(settings, others) == others_files - lists, "all but the lists"
    assert not (settings.data.dir / "models/runs/1/dataset.json").exists()
    plan["head"] = ["count", "1"]
    said: list[str] = []
    assert learning.learn(settings, said.append)["run"] == 2, "nothing goes on that knew them"
    assert any("run 1 cannot continue" in line for line in said)


def test_who_is_forgotten_while_a_run_learns_ends_it(settings: Settings, plan: Works) -> None:
    """Also somebody held out, whose photo the proof misses."""
    filled(settings)

    def leave(text: str) -> None:
        if text.startswith("head: from step"):
            removal.forget(settings, f"instagram/{people(1, out=True)[0]}")

    with pytest.raises(TagechoError, match="of the images that it used were removed"):
        learning.learn(settings, leave)
    assert row(settings).state == RunState.CANCELLED
    assert not (settings.data.dir / "models/runs/1/photos").exists()


def test_who_is_forgotten_while_photos_are_laid_out(settings: Settings, maskless: Works) -> None:
    filled(settings)
    lay_out, user = photos.lay_out, people(1, out=False)[0]

    def and_leave(*args: Any, **more: Any) -> photos.Layout:
        layout = lay_out(*args, **more)
        with opened(settings) as app, app.database.write() as session:
            app.optouts.add(session, "instagram", user, utc_now())
        return layout

    with pytest.MonkeyPatch.context() as patch, pytest.raises(TagechoError, match="were removed"):
        patch.setattr(photos, "lay_out", and_leave)
        learning.learn(settings, quiet)
    with opened(settings) as app, app.database.read() as session:
        assert session.exec(select(LearningAuthor)).all() == []
    assert not (settings.data.dir / "models/runs/1/photos").exists()


def test_photos_of_an_attempt_that_was_broken_off_are_no_part_of_the_next(
    settings: Settings, maskless: Works
) -> None:
    filled(settings)
    stray = settings.data.dir / "models/runs/1/photos/train" / f"{'0' * 64}.jpg"
    seen: list[bool] = []

    def look(text: str) -> None:
        if text == "run 1: learning":
            stray.parent.mkdir(parents=True)
            stray.write_bytes(photo("red", 1))
        else:
            seen.append(stray.exists())

    learning.learn(settings, look)
    assert seen and not any(seen)


def test_the_time_limit(settings: Settings, plan: Works) -> None:
    filled(settings)
    plan["dino"] = ["count", trainer.ENDLESS]
    from datetime import timedelta

    short = settings.model_copy(
        update={"learn": settings.learn.model_copy(update={"time_limit": timedelta(seconds=3)})}
    )
    refused(short, ModelError, "time limit")


def test_one_at_a_time(settings: Settings, maskless: Works) -> None:
    filled(settings)
    seen: list[str] = []

    def another(text: str) -> None:
        if text.startswith("dino") and not seen:
            with pytest.raises(AccountLocked) as error:
                learning.learn(settings, quiet)
            seen.append(str(error.value))

    learning.learn(settings, another)
    assert "learning is in use by another" in seen[0]


# --- replies come first ---------------------------------------------------------------------------


def state_of(pid: int) -> str:
    """T: stopped. Of the process that works, not of its parent."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_it_stands_still_while_replies_wait(settings: Settings, tmp_path: Path) -> None:
    """Measured on a real process and real rows: no step is done while a reply is to be rendered."""
    with opened(settings) as app:
        looks: list[int] = []

        def waiting() -> int:
            looks.append(1)
            with app.database.read() as session:
                return runs.replies_waiting(session, utc_now())

        argv = command(
            1, signal.SIGKILL, "tests.trainer", ["count", str(tmp_path), trainer.ENDLESS]
        )
        said: list[str] = []
        child = Child(argv, tmp_path / "log.txt", quiet, 1, os.environ)
        turn = Turn(waiting, 60, said.append)
        thread = threading.Thread(target=lambda: _until_over(child, turn))
        thread.start()
        path = tmp_path / "steps.txt"

        def looked_again() -> None:
            seen = len(looks)
            eventually("it looked twice more", lambda: len(looks) > seen + 1)

        def count() -> int:
            text = path.read_text() if path.exists() else ""
            return int(text or 0)

        try:
            eventually("it works", lambda: count() > 2)
            with app.database.write() as session:
                reply = queue_reply(session, expires_at=utc_now().replace(year=2100))
            eventually("it is stopped", lambda: state_of(child.pid) == "T")
            still = count()
            looked_again()
            assert (state_of(child.pid), count()) == ("T", still)
            assert said == ["paused: 1 replies wait to be rendered"]
            with app.database.write() as session:
                session.get_one(Reply, reply).state = ReplyState.RENDERING
            looked_again()
            assert (state_of(child.pid), count()) == ("T", still)
            with app.database.write() as session:
                session.get_one(Reply, reply).state = ReplyState.AWAITING_APPROVAL
            eventually("it goes on", lambda: count() > still + 2)
            assert said[-1] == "going on"
            assert os.getpriority(os.PRIO_PROCESS, child.pid) >= 1
        finally:
            turn._seconds = 0
            thread.join(PATIENCE)
        assert not Path(f"/proc/{child.pid}").exists()


def _until_over(child: Child, turn: Turn) -> None:
    with contextlib.suppress(TimeLimit):
        child.wait(turn)


def test_a_reply_that_waits_for_its_image_stops_nothing(settings: Settings) -> None:
    with opened(settings) as app:
        later = utc_now().replace(year=2100)
        with app.database.write() as session:
            waits = queue_reply(session, "a", expires_at=later)
            session.get_one(Reply, waits).not_before = later
            queue_reply(session, "b")  # expired long ago
        with app.database.read() as session:
            assert runs.replies_waiting(session, utc_now()) == 0


# --- the command line -----------------------------------------------------------------------------


def configured(tmp_path: Path, **learn: Any) -> Path:
    path = tmp_path / "config.toml"
    said = {"least_images": 20, "dino_steps": 2, "mask_steps": 2, "batch": 4, "nice": 1, **learn}
    lines = "\n".join(f"{key} = {value}" for key, value in said.items())
    path.write_text(f'[data]\ndir = "data"\n[models]\nthreads = 1\n[learn]\n{lines}\n')
    return path


def test_the_verbs(
    tmp_path: Path,
    settings: Settings,
    plan: Works,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = configured(tmp_path)
    monkeypatch.setattr(
        "bot.learn.low_priority.step_back", lambda _nice: None
    )  # this is the tests' process

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tagecho", *arguments, "--config", str(config)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    assert run("learn")[0] == 8
    assert run("models", "rollback")[0] == 8
    assert run("models", "promote")[0] == 2
    assert run("models", "promote", "--run", "1")[0] == 2
    assert run("models", "promote", "segment-0123456789ab")[0] == 2
    assert run("models", "promote", "../../elsewhere")[0] == 2
    provable(settings)
    code, out, err = run("learn", "--json")
    done = json.loads(out)
    assert (code, done["state"], done["run"]) == (0, "promoted", 2)
    assert "dino: from step 0" in err
    listed = json.loads(run("models", "list", "--json")[1])
    serving = [row["name"] for row in listed if row["in_service"] and row["stage"] == "segmenter"]
    assert serving == [done["version"]]
    assert run("models", "verify")[0] == 0
    code, out, _ = run("learn", "--status")
    assert code == 0
    assert "promoted" in out and "0 images may be used" in out
    assert f"in service: {done['version']}; before: embedded" in out
    assert json.loads(run("learn", "--status", "--json")[1])["current"] == done["version"]
    assert "in service: embedded" in run("models", "rollback")[1]
    path = settings.data.dir / "models/segment" / done["version"] / "segment.onnx"
    assert run("models", "promote", done["version"])[0] == 0
    path.write_bytes(b"")
    assert run("models", "promote", done["version"])[0] == 7
    assert run("models", "verify")[0] == 7
    assert run("learn")[0] == 7


# --- with the real trainings ----------------------------------------------------------------------


@needs_torch
@pytest.mark.slow
@pytest.mark.learn
def test_from_stored_photos_to_a_decision(
    tmp_path: Path, small_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DINO, teacher, head and export as they are, on a network built as the shipped one is, but
    smaller; killed with -9 on the way; ends in a decision."""
    from models.segment.export import export_network

    shipped = tmp_path / "shipped"
    shutil.copytree(small_networks, shipped, symlinks=True)
    export_network(colourful(), shipped / "segment.onnx", 64, 0.5)
    monkeypatch.setattr(packs, "EMBEDDED", shipped)
    config = configured(tmp_path, dino_steps=3)
    settings = settings_for(tmp_path, dino_steps=3, batch=4)
    filled(settings, 15, FEWEST)
    before = served(settings)
    program = f"from models.serving import packs; packs.EMBEDDED = packs.Path({str(shipped)!r})\n"
    program += "from bot.__main__ import main; main()"
    argv = [sys.executable, "-c", program, "learn", "--json", "--config", str(config)]
    first = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    folder = settings.data.dir / "models" / "runs" / "1"
    eventually("it trains", (folder / "dino" / "last.pt").exists)
    first.kill()
    first.wait()
    assert row(settings).state == RunState.RUNNING
    eventually("trainings do not outlive it", lambda: not trainings(folder))

    again = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert again.returncode == 0, again.stderr
    assert "run 1: continues with" in again.stderr
    done = json.loads(again.stdout)
    assert done["run"] == 1
    assert done["state"] in (RunState.KEPT_OUT, RunState.PROMOTED)
    assert done["evidence"]["knn"]["count"] == FEWEST
    assert done["evidence"]["agreement"]["count"] > 5
    assert (served(settings) == before) is (done["state"] == RunState.KEPT_OUT)
    assert done["version"] in Store(settings.data.dir / "models").versions()
    learning.promote(settings, None, 1)
    assert served(settings).startswith(done["version"]), "it can be served"


def colourful() -> SegmentNet:
    """Built as the shipped network, and sure of what is colourful: it can be a teacher."""
    import torch

    from models.dino.vit import Shape
    from models.segment.network import LIGHT, SegmentNet

    network = SegmentNet(Shape(width=64, depth=2, heads=1), 32, light=True).eval()
    first, last, mask = network.stem2[0].weight, network.up2[0].weight, network.mask
    with torch.no_grad():
        for weights in (first, last, mask.weight):
            weights.zero_()
        for number, (one, other) in enumerate(itertools.permutations(range(3), 2)):
            first[number, one, 1, 1], first[number, other, 1, 1] = 1, -1
            last[number, LIGHT[1] + number, 1, 1] = 1
            mask.weight[0, number] = 10
        mask.bias.fill_(-4)
    return network


def trainings(folder: Path) -> list[str]:
    """Command lines of processes that work in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in text:
                found.append(text)
    return found


@needs_torch
def test_the_fifth_of_people_is_the_one_that_dino_leaves_out() -> None:
    from models.dino.select import held_out as theirs

    names = [f"instagram/{number}" for number in range(500)]
    assert [held_out(name) for name in names] == [theirs(name) for name in names]
    assert 60 < sum(map(held_out, names)) < 140
