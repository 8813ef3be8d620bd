"""Exports: what is in them, the same bytes every time, no names of people, nothing half done."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil
from sqlmodel import col, select

from bot.config import Settings
from bot.core.errors import NothingToDo, NotInstalled, StorageError, UsageError
from bot.dataset import snapshots as frozen
from bot.dataset.export import folder as exporting
from bot.dataset.export import webdataset
from bot.dataset.export.folder import ExportOptions, Result, export
from bot.dataset.export.formats import FORMATS, Format
from bot.dataset.export.imagefolder import ImageFolder
from bot.flow.forget import forget
from bot.service.app import opened
from bot.verbs import datasets
from models.base import Image, Segmentation
from storage import snapshots
from storage.queries import Query
from storage.tables import Artifact, MediaRow
from storage.tables import Export as ExportRow
from tests.datasets import disc, fit, mask, picture, put, settings_at
from tests.waiting import PATIENCE

NAME = "hoodie"
EVERYTHING = "default,caption,place_name,user_id,username"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of six people, masks for all but one, and a snapshot of them."""
    folder = tmp_path_factory.mktemp("stored")
    settings = settings_at(folder)
    with opened(settings) as app:
        for n in range(12):
            size = (64 + n, 48)
            caption = f"by the sea with @somebody.else #{n}"
            (media,) = put(app, f"p{n}", f"u{n % 6}", ("hoodie", "red"), size=size, caption=caption)
            if n:
                mask(app, media, (2 * size[0], 96))
        fit(app, 2, "hoodie", 0.25)
        fit(app, 2, "red", 0.75)
    datasets.create(settings, NAME, Query(any_hashtags=("hoodie", "red")), replace=False)
    frozen.freeze(settings, NAME, "", {"train": 0.6, "val": 0.2, "test": 0.2}, 0)
    return folder / "data"


@pytest.fixture
def stored(template: Path, settings: Settings) -> Settings:
    shutil.copytree(template, settings.data.dir, dirs_exist_ok=True)
    return settings


def run(settings: Settings, out: Path, kind: str = "imagefolder", **options: Any) -> Result:
    return export(settings, NAME, ExportOptions(kind, out, **options))


def tree(folder: Path) -> dict[str, str]:
    """Every file's name and hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


# --- content -------------------------------------------------------------------------------------


def test_originals_byte_for_byte_with_labels_and_provenance(
    stored: Settings, tmp_path: Path
) -> None:
    result = run(stored, tmp_path / "out")
    assert (result.items, result.forgotten, result.snapshot) == (12, 0, "1")
    found = records(tmp_path / "out")
    assert len(found) == 12
    for one in found:
        n = int(one["post_id"][1:])
        data = (tmp_path / "out" / one["file_name"]).read_bytes()
        assert data == picture(int.from_bytes(f"p{n}".encode(), "big"), (64 + n, 48))
        assert one["sha256"] == one["source_sha256"] == hashlib.sha256(data).hexdigest()
        assert one["url"] == f"https://www.instagram.com/p/p{n}/"
        assert one["split"] in one["file_name"]
        assert (one["width"], one["height"]) == (64 + n, 48)
        assert one["id"] == f"hoodie/1/{n}"
    judged = next(one for one in found if one["post_id"] == "p1")
    assert dict(zip(judged["hashtags"], judged["probabilities"], strict=True)) == {
        "hoodie": 0.25,
        "red": 0.75,
    }
    assert judged["label_model"] == "net-1"
    authors = {}
    for one in found:
        authors.setdefault(one["author"], set()).add(int(one["post_id"][1:]) % 6)
    assert len(authors) == 6
    assert all(len(people) == 1 for people in authors.values())


@pytest.mark.parametrize("kind", FORMATS)
def test_two_exports_are_the_same_bytes_and_name_nobody(
    stored: Settings, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow") if kind == "parquet" else None
    first, second = tmp_path / "first", tmp_path / "second"
    run(stored, first, kind, fields="default,caption")
    with opened(stored) as app:  # the stream goes on
        (late,) = put(app, "late", "u1", ("hoodie",))
        mask(app, late)
        fit(app, 3, "hoodie", 0.1)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old_umask = os.umask(0o077)
    try:
        run(stored, second, kind, fields="default,caption")
    finally:
        os.umask(old_umask)
    assert tree(first) == tree(second)
    everything = b"".join(path.read_bytes() for path in first.rglob("*") if path.is_file())
    for trace in (b"name-u1", b'"u1"', b"somebody.else"):
        assert trace not in everything


def test_fields_are_chosen_by_name(stored: Settings, tmp_path: Path) -> None:
    run(stored, tmp_path / "all", fields=EVERYTHING)
    one = next(one for one in records(tmp_path / "all") if one["post_id"] == "p4")
    assert (one["user_id"], one["username"]) == ("u4", "name-u4")
    assert one["caption"] == "by the sea with @somebody.else #4"
    run(stored, tmp_path / "few", fields="url")
    assert set(records(tmp_path / "few")[0]) == {
        *("id", "file_name", "split", "width", "height", "sha256", "source_sha256", "url"),
        *("mask_file_name", "mask_model"),
    }
    with pytest.raises(UsageError, match=r"no 'captoin' \(did you mean \"caption\"\?\); there are"):
        run(stored, tmp_path / "none", fields="captoin")


def test_smaller_pictures_are_upright_and_without_metadata(
    settings: Settings, tmp_path: Path
) -> None:
    exif = Pil.Exif()
    exif[0x0112], exif[0x010E] = 6, "at home"  # to be turned; a description
    sideways = picture(1, (400, 200), exif=exif)
    with opened(settings) as app:
        put(app, "p1", images=[sideways], size=(200, 400))
    datasets.create(settings, NAME, Query(any_hashtags=("hoodie",)), replace=False)
    run(settings, tmp_path / "small", size=100)
    (one,) = records(tmp_path / "small")
    data = (tmp_path / "small" / one["file_name"]).read_bytes()
    assert b"at home" not in data
    with Pil.open(io.BytesIO(data)) as image:
        assert image.size == (one["width"], one["height"]) == (50, 100)
        assert len(image.getexif()) == 0
    assert one["sha256"] == hashlib.sha256(data).hexdigest() != one["source_sha256"]
    run(settings, tmp_path / "whole")
    (one,) = records(tmp_path / "whole")
    assert (tmp_path / "whole" / one["file_name"]).read_bytes() == sideways


def test_the_card_says_whose_photos_they_are_and_what_is_in_it(
    settings: Settings, tmp_path: Path
) -> None:
    with opened(settings) as app:
        put(app, "p1", tags=("hoodie", "a|b<script>"))
    query = Query(any_hashtags=("hoodie",), authors=("instagram/name-u1",))
    datasets.create(settings, NAME, query, replace=False)
    run(settings, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "The photos belong to the people who took them" in text
    assert "| hoodie | 1 | 0 |" in text
    assert "<script>" not in text
    assert "name-u1" not in text + (tmp_path / "out" / "croissant.json").read_text()
    head = text.split("---")[1]
    assert "license: other" in head
    (split,) = {one["split"] for one in records(tmp_path / "out")}
    assert f"- split: {split}" in head


# --- masks ---------------------------------------------------------------------------------------


class Discs:
    """A segmenter that sees a disc everywhere, and counts."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.runs = 0

    def __call__(self, image: Image) -> Segmentation:
        self.runs += 1
        height, width = image.shape[:2]
        found = disc((width, height))
        return Segmentation(found.astype(np.float32), found, 0.9, np.ones(4, np.float32))


@pytest.fixture
def discs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Discs]:
    def install(version: str) -> Discs:
        segmenter = Discs(version)
        monkeypatch.setattr(exporting.ServingStages, "segmenter", lambda _: segmenter)
        return segmenter

    return install


def test_missing_masks_are_computed_once_and_kept(
    stored: Settings, tmp_path: Path, discs: Callable[[str], Discs]
) -> None:
    same = discs("seg-1")
    result = run(stored, tmp_path / "a", "yolo", masks=True)
    assert (result.items, result.without_mask, same.runs) == (12, 0, 1)  # one was not there
    run(stored, tmp_path / "b", "yolo", masks=True)
    assert same.runs == 1
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    newer = discs("seg-2")  # its own for every image, not a mixture of two networks
    run(stored, tmp_path / "c", masks=True)
    assert newer.runs == 12
    assert {one["mask_model"] for one in records(tmp_path / "c")} == {"seg-2"}
    card = {name: (tmp_path / name / "README.md").read_text() for name in "ac"}
    assert "- mask: `seg-1`" in card["a"] and "seg-2" not in card["a"]
    assert "- mask: `seg-2`" in card["c"] and "seg-1" not in card["c"]


def test_a_computed_mask_is_forgotten_with_its_image(
    stored: Settings, tmp_path: Path, discs: Callable[[str], Discs]
) -> None:
    discs("seg-2")
    run(stored, tmp_path / "a", masks=True)
    with opened(stored) as app:
        forget(app, "instagram", "u3")
        with app.database.read() as session:
            left = session.exec(select(Artifact.source_sha256)).all()
            here = set(session.exec(select(MediaRow.sha256)).all())
    assert set(left) == here


def test_yolo_needs_masks_and_leaves_out_what_has_none(stored: Settings, tmp_path: Path) -> None:
    result = run(stored, tmp_path / "out", "yolo")
    assert (result.items, result.without_mask) == (11, 1)
    datasets.create(stored, "bare", Query(any_hashtags=("none",)), replace=False)
    with opened(stored) as app:
        put(app, "x", "u1", ("none",))
    with pytest.raises(UsageError, match="--masks"):
        export(stored, "bare", ExportOptions("yolo", tmp_path / "no"))
    assert not (tmp_path / "no").exists()


def test_a_mask_of_the_photos_size_is_the_stored_file(settings: Settings, tmp_path: Path) -> None:
    with opened(settings) as app:
        for n, size in enumerate(((64, 48), (128, 96))):
            (media,) = put(app, f"p{n}", f"u{n}")
            file = io.BytesIO()  # not as we would write it
            Pil.fromarray(disc(size)).convert("L").save(file, "PNG", optimize=True)
            mask(app, media, data=file.getvalue())
        with app.database.read() as session:
            rows = session.exec(select(Artifact).order_by(col(Artifact.key))).all()
        kept = [app.artifacts.get(row.sha256) for row in rows]
    datasets.create(settings, NAME, Query(any_hashtags=("hoodie",)), replace=False)
    run(settings, tmp_path / "out")
    files = {one["post_id"]: one["mask_file_name"] for one in records(tmp_path / "out")}
    same, smaller = ((tmp_path / "out" / files[post]).read_bytes() for post in ("p0", "p1"))
    assert same == kept[0]
    assert smaller != kept[1]
    with Pil.open(io.BytesIO(smaller)) as image:
        assert image.size == (64, 48)


def test_masks_whose_file_is_gone_are_counted(stored: Settings, tmp_path: Path) -> None:
    with opened(stored) as app:
        with app.database.read() as session:
            one = session.exec(select(Artifact.sha256)).first()
        assert one is not None
        app.artifacts.remove([one])
    assert run(stored, tmp_path / "out", "coco").masks_gone >= 1


# --- who is gone ---------------------------------------------------------------------------------


def test_the_forgotten_are_not_exported(stored: Settings, tmp_path: Path) -> None:
    run(stored, tmp_path / "before")
    with opened(stored) as app:
        forget(app, "instagram", "u2")
    result = run(stored, tmp_path / "after")
    assert (result.items, result.forgotten) == (10, 2)
    before, after = tree(tmp_path / "before" / "data"), tree(tmp_path / "after" / "data")
    images = {name for name in before if name.endswith(".jpg")}
    gone = images - after.keys()
    assert {Path(name).stem for name in gone} == {"00000002", "00000008"}
    assert all(after[name] == before[name] for name in images - gone)


def test_an_opt_out_alone_keeps_a_photo_out(stored: Settings, tmp_path: Path) -> None:
    with opened(stored) as app, app.database.write() as session:
        moment = session.exec(select(Artifact.created)).first()
        assert moment is not None
        app.optouts.add(session, "instagram", "u1", moment)
    assert run(stored, tmp_path / "out").forgotten == 2


def test_somebody_forgotten_while_it_is_written(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ImageFolder):
        def close(self) -> list[Path]:
            with opened(stored) as app:
                forget(app, "instagram", "u1")
            return super().close()

    monkeypatch.setitem(FORMATS, "imagefolder", Format(Slow))
    with pytest.raises(StorageError, match="forgotten while"):
        run(stored, tmp_path / "out")
    assert not any(path.name.startswith(("out", ".out")) for path in tmp_path.iterdir())


def test_every_export_is_on_record(stored: Settings, tmp_path: Path) -> None:
    run(stored, tmp_path / "out", "webdataset")
    with opened(stored) as app, app.database.read() as session:
        (row,) = session.exec(select(ExportRow)).all()
        snapshot = snapshots.by_name(session, NAME)
    assert snapshot is not None
    assert (row.format, row.items, row.snapshot) == ("webdataset", 12, snapshot.id)
    assert row.path == str(tmp_path / "out")


# --- whole or not at all -------------------------------------------------------------------------


def beside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "data"}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_nothing(
    stored: Settings, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow") if kind == "parquet" else None
    made = FORMATS[kind].writer

    def full(folder: Path, plan: Any) -> Any:
        writer = made(folder, plan)
        add, seen = writer.add, []

        def until_full(example: Any) -> Any:
            seen.append(example)
            if len(seen) == 7:
                raise OSError(28, "No space left on device")
            return add(example)

        writer.add = until_full  # type: ignore[method-assign]
        return writer

    monkeypatch.setitem(FORMATS, kind, replace(FORMATS[kind], writer=full))
    with pytest.raises(StorageError, match="No space left on device; nothing was written"):
        run(stored, tmp_path / "out", kind)
    assert beside(tmp_path) == set()
    with opened(stored) as app, app.database.read() as session:
        assert session.exec(select(ExportRow)).all() == []


def test_a_lost_original_leaves_nothing(stored: Settings, tmp_path: Path) -> None:
    with opened(stored) as app:
        with app.database.read() as session:
            lost = session.exec(select(MediaRow.sha256)).all()[5]
        app.originals.remove([lost or ""])
    with pytest.raises(StorageError, match="cannot be read"):
        run(stored, tmp_path / "out")
    assert beside(tmp_path) == set()


KILLED = """
import os, signal, sys
from pathlib import Path
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.export.formats import FORMATS, Format
from bot.dataset.export.imagefolder import ImageFolder
from tests.datasets import settings_at

class Deadly(ImageFolder):
    def add(self, example):
        if example.stem == "00000006":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().add(example)

FORMATS["imagefolder"] = Format(Deadly)
folder = Path(sys.argv[1])
export(settings_at(folder), "hoodie", ExportOptions("imagefolder", folder / "out", replace=True))
"""


@pytest.mark.slow
def test_kill_9_leaves_what_was_there_and_the_next_run_cleans_up(
    stored: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(stored, out)
    before = tree(out)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=PATIENCE
    )
    assert killed.returncode == -signal.SIGKILL
    assert beside(tmp_path) == {"out", ".out.tagecho-part"}  # the debris
    assert tree(out) == before
    run(stored, out, replace=True, size=32)
    assert beside(tmp_path) == {"out"}
    assert tree(out) != before


def test_what_is_there_is_not_overwritten_by_accident(stored: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    run(stored, out)  # an empty folder is free
    with pytest.raises(UsageError, match="--replace"):
        run(stored, out)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="not a folder"):
        run(stored, file, replace=True)
    link = tmp_path / "link"
    link.symlink_to(out)
    with pytest.raises(UsageError, match="not a folder"):
        run(stored, link, replace=True)


def test_between_the_two_renames(stored: Settings, tmp_path: Path) -> None:
    """A run killed there leaves the former export under its other name."""
    out = tmp_path / "out"
    run(stored, out)
    before = tree(out)
    out.rename(tmp_path / ".out.tagecho-old")
    with pytest.raises(UsageError, match="--replace"):
        run(stored, out)
    assert tree(out) == before


def test_two_at_once_do_not_mix(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice(ImageFolder):
        def close(self) -> list[Path]:
            monkeypatch.undo()
            with pytest.raises(UsageError, match="another process is writing"):
                run(stored, tmp_path / "out")
            return super().close()

    monkeypatch.setitem(FORMATS, "imagefolder", Format(Twice))
    assert run(stored, tmp_path / "out").items == 12


# --- size ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """100 photos, and 1000, of 80 kB each."""
    settings = settings_at(tmp_path_factory.mktemp("many"))
    photo = b"\xff\xd8" + os.urandom(80_000)  # one file on disk: it is read as often as needed
    with opened(settings) as app:
        for post in range(20):
            tags = ("few", "many") if post < 2 else ("many",)
            put(app, f"p{post}", f"u{post}", tags, images=[photo] * 50)
    for name in ("few", "many"):
        datasets.create(settings, name, Query(any_hashtags=(name,)), replace=False)
        frozen.freeze(settings, name, "", {"train": 1.0, "val": 0.0, "test": 0.0}, 0)
    return settings


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["imagefolder", "parquet", "webdataset", "coco"])
def test_memory_does_not_grow_with_the_dataset(
    many: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Ten times the images; their bytes alone would be 72 MB more."""
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet")  # loaded before: what it takes is not the export's
        monkeypatch.setattr("bot.dataset.export.parquet.GROUP", 4_000_000)  # one is in memory
    peaks = {}
    for name, count in (("few", 100), ("many", 1000)):
        tracemalloc.start()
        assert export(many, name, ExportOptions(kind, tmp_path / name)).items == count
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["many"] < peaks["few"] + 20_000_000


def test_large_tars_are_split_and_keep_their_order(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(folder: Path, plan: Any) -> webdataset.WebDataset:
        return webdataset.WebDataset(folder, plan, largest=3000)

    monkeypatch.setitem(FORMATS, "webdataset", replace(FORMATS["webdataset"], writer=small))
    run(stored, tmp_path / "out", "webdataset")
    tars = sorted(path.name for path in (tmp_path / "out").glob("train-*.tar"))
    assert len(tars) >= 2
    assert tars[0] == "train-000000.tar"
    listed = json.loads((tmp_path / "out" / "croissant.json").read_text())["distribution"]
    assert {one["name"] for one in listed} >= set(tars)


# --- wrong words ---------------------------------------------------------------------------------


def test_words_that_are_wrong(stored: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are imagefolder"):
        run(stored, tmp_path / "out", "zip")
    with pytest.raises(UsageError, match="at least 16"):
        run(stored, tmp_path / "out", size=3)
    with pytest.raises(UsageError, match="no snapshot"):
        export(stored, f"{NAME}/7", ExportOptions("coco", tmp_path / "out"))
    with pytest.raises(UsageError, match="no dataset"):
        export(stored, "nothing", ExportOptions("coco", tmp_path / "out"))
    datasets.create(stored, "empty", Query(any_hashtags=("none",)), replace=False)
    with pytest.raises(NothingToDo):
        export(stored, "empty", ExportOptions("coco", tmp_path / "out"))
    assert beside(tmp_path) == set()


def test_parquet_without_its_library(
    stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(NotInstalled, match=r"pip install 'tagecho\[export\]'"):
        run(stored, tmp_path / "out", "parquet")
    assert beside(tmp_path) == set()
