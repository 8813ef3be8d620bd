"""Objects of `tagecho label` in exports: all of them, empty images as such, no unanswered ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.config import Settings
from bot.core.errors import UsageError
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.export.runs import RunLengths
from bot.service.app import opened
from storage import objects
from storage.tables import MediaRow, ObjectLabel
from tests.databases import NOW, sqlite_in
from tests.datasets import SIZE, disc, put, settings_at

FACTS = {"by": ["fixed"], "networks": ["net-1"], "classes": ["hat", "dog"], "least": 0.3}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A picture with two objects, one with nothing in it, one that failed, one that waits."""
    made = settings_at(tmp_path)
    sqlite_in(made.data.dir)
    with opened(made) as app:
        media = [put(app, f"n{n}", f"u{n}", into="d")[0] for n in range(4)]
        with app.database.write() as session:
            sha = [session.get_one(MediaRow, one).sha256 or "" for one in media]
            recipe = objects.plan(session, FACTS, sha, NOW)
            mask = RunLengths.of(disc()).rle
            found = [
                ObjectLabel(
                    recipe=recipe, sha256=sha[0], name=name, score=score, left=16, top=8,
                    right=48, bottom=40, mask=runs, made_by="net-1",
                )
                for name, score, runs in (("dog", 0.9, mask), ("hat", 0.5, None))
            ]  # fmt: skip
            assert objects.answer(session, recipe, sha[0], found, NOW)
            assert not objects.answer(session, recipe, sha[0], found, NOW), "once only"
            assert objects.answer(session, recipe, sha[1], [], NOW)
            assert objects.fail(session, recipe, sha[2], "crashed", NOW)
    return made


def written(settings: Settings, tmp_path: Path, kind: str, **options: object) -> Path:
    out = tmp_path / kind
    done = export(settings, "d", ExportOptions(kind, out, objects="latest", **options))  # type: ignore[arg-type]
    assert done.items + done.without_mask == 4
    return out


def test_coco_has_every_object_and_leaves_out_what_nobody_answered(
    settings: Settings, tmp_path: Path
) -> None:
    out = written(settings, tmp_path, "coco")
    whole = [json.loads(path.read_text()) for path in out.glob("annotations/instances_*.json")]
    images = [image for one in whole for image in one["images"]]
    found = [annotation for one in whole for annotation in one["annotations"]]
    assert [c["name"] for c in whole[0]["categories"]] == ["hat", "dog", "object"]
    assert len(images) == 2
    assert [(one["category_id"], one["score"], one["bbox"]) for one in found] == [
        (2, 0.9, [16, 8, 32, 32]), (1, 0.5, [16, 8, 32, 32]),
    ]  # fmt: skip
    assert found[0]["segmentation"] == RunLengths.of(disc()).rle
    assert found[1]["segmentation"] == [[16, 8, 48, 8, 48, 40, 16, 40]]
    assert len({one["image_id"] for one in found}) == 1


# pycocotools 2.0 hands numpy 2 an array type without its `copy` keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")
def test_pycocotools_reads_them(settings: Settings, tmp_path: Path) -> None:
    library = pytest.importorskip("pycocotools.coco", reason="pycocotools of the dev extra")
    out = written(settings, tmp_path, "coco")
    masks = []
    for path in out.glob("annotations/instances_*.json"):
        coco = library.COCO(path)
        found = coco.loadAnns(coco.getAnnIds())
        masks += [coco.annToMask(one) for one in found if isinstance(one["segmentation"], dict)]
    assert len(masks) == 1
    assert (masks[0].astype(bool) == disc()).all()


def test_yolo_has_a_line_for_each_and_an_empty_file_for_none(
    settings: Settings, tmp_path: Path
) -> None:
    out = written(settings, tmp_path, "yolo")
    texts = sorted(path.read_text() for path in out.glob("labels/*/*.txt"))
    assert len(texts) == 2
    assert texts[0] == ""
    lines = texts[1].splitlines()
    assert [line.split()[0] for line in lines] == ["1", "0"]
    corners = np.array(lines[1].split()[1:], float).reshape(-1, 2) * SIZE
    assert corners == pytest.approx(np.array([[16, 8], [48, 8], [48, 40], [16, 40]]), abs=0.01)
    assert '1: "dog"' in (out / "data.yaml").read_text()


def test_parquet_tells_empty_from_failed_and_from_waiting(
    settings: Settings, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = written(settings, tmp_path, "parquet")
    rows = [
        row for path in out.glob("data/*.parquet") for row in parquet.read_table(path).to_pylist()
    ]
    assert sorted(row["object_state"] for row in rows) == ["done", "empty", "failed", "waiting"]
    (done,) = (row for row in rows if row["object_state"] == "done")
    assert done["object_classes"] == ["dog", "hat"]
    assert done["object_boxes"] == [16, 8, 32, 32] * 2
    assert json.loads(done["object_masks"][0]) == RunLengths.of(disc()).rle
    assert done["object_masks"][1] == ""
    assert done["object_models"] == ["net-1", "net-1"]


def test_at_another_size_boxes_and_masks_follow(settings: Settings, tmp_path: Path) -> None:
    out = written(settings, tmp_path, "coco", size=32)
    found = [
        annotation
        for path in out.glob("annotations/instances_*.json")
        for annotation in json.loads(path.read_text())["annotations"]
    ]
    assert found[1]["bbox"] == [8, 4, 16, 16]
    assert found[0]["segmentation"]["size"] == [24, 32]
    assert found[0]["area"] == pytest.approx(disc().sum() / 4, rel=0.1)


def test_a_recipe_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recipe"):
        export(settings, "d", ExportOptions("coco", tmp_path / "x", objects="beef"))
