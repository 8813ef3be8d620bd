"""Masks of other tools: COCO, PNG, our own exports; and what hostile files do not do."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pil

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.dataset import snapshots as frozen
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.export.runs import RunLengths
from bot.service.app import opened
from bot.verbs import datasets
from bot.verbs.masks import ImportedMasks, import_masks, keep
from models.base import Mask
from models.images.codec import png_mask
from storage.masks import MaskOrigin, newest_of
from storage.queries import Query
from tests.datasets import SIZE, disc, mask, picture, put

WIDTH, HEIGHT = SIZE
PHOTO = picture(1)
SHA = hashlib.sha256(PHOTO).hexdigest()


def taken(settings: Settings, path: Path, photos: Path | None = None, **more: Any) -> ImportedMasks:
    return import_masks(settings, path, photos, **more)


def kept(settings: Settings) -> tuple[str, Mask] | None:
    """MaskOrigin and mask of the newest version."""
    with opened(settings) as app, app.database.read() as session:
        row = newest_of(session, SHA)
        if row is None:
            return None
        with Pil.open(io.BytesIO(app.artifacts.get(row.sha256))) as image:
            return row.origin, np.asarray(image) > 127


@pytest.fixture
def stored(settings: Settings) -> Settings:
    with opened(settings) as app:
        put(app, "p1", images=[PHOTO])
    return settings


def coco(folder: Path, segmentation: Any, **image: Any) -> Path:
    about = {"id": 1, "file_name": "one.jpg", "width": WIDTH, "height": HEIGHT, **image}
    said = {"images": [about], "annotations": [{"image_id": 1, "segmentation": segmentation}]}
    path = folder / "coco.json"
    path.write_text(json.dumps(said))
    return path


def beside(folder: Path) -> Path:
    (folder / "photos").mkdir()
    (folder / "photos" / "one.jpg").write_bytes(PHOTO)
    return folder / "photos"


def box_of(mask_of: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask_of.any(1)), np.flatnonzero(mask_of.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_runs_and_polygons_of_coco(stored: Settings, tmp_path: Path) -> None:
    photos, runs = beside(tmp_path), RunLengths.of(disc()).rle
    assert taken(stored, coco(tmp_path, runs), photos).imported == 1
    found = kept(stored)
    assert found is not None and found[0] == MaskOrigin.IMPORT and (found[1] == disc()).all()
    again = taken(stored, coco(tmp_path, runs), photos)
    assert (again.imported, again.unchanged) == (0, 1)
    square = [[10, 8, 30, 8, 30, 24, 10, 24]]
    assert taken(stored, coco(tmp_path, square), photos).kept == 1  # a person drew one
    assert taken(stored, coco(tmp_path, square), photos, replace=True).imported == 1
    found = kept(stored)
    assert found is not None
    assert np.abs(np.array(box_of(found[1])) - (10, 8, 30, 24)).max() <= 1
    plain = {"size": [HEIGHT, WIDTH], "counts": [5, 10, HEIGHT * WIDTH - 15]}
    path = coco(tmp_path, plain, file_name="x.jpg", source_sha256=SHA)
    assert taken(stored, path, replace=True).imported == 1  # named by its hash
    found = kept(stored)
    assert found is not None and found[1][5:15, 0].all() and found[1].sum() == 10


def test_a_polygon_that_leaves_the_image_is_cut_off(stored: Settings, tmp_path: Path) -> None:
    outside = [[-500, -500, 32, -500, 32, 900, -500, 900]]
    assert taken(stored, coco(tmp_path, outside), beside(tmp_path)).imported == 1
    found = kept(stored)
    assert found is not None and found[1][:, :32].all() and not found[1][:, 33:].any()


def test_pngs_by_name_by_hash_and_by_the_photo_beside_them(
    stored: Settings, tmp_path: Path
) -> None:
    beside(tmp_path)
    (tmp_path / "labels").mkdir()
    classes = (disc() * 7).astype(np.uint8)  # of a tool that numbers its classes
    Pil.fromarray(classes).save(tmp_path / "labels" / "one.png")
    (tmp_path / "labels" / "two.png").write_bytes(png_mask(disc()))
    found = taken(stored, tmp_path)
    assert (found.imported, [name for name, _ in found.problems]) == (1, ["two.png"])
    named = tmp_path / "named"
    named.mkdir()
    (named / f"{SHA}.png").write_bytes(png_mask(~disc()))
    assert taken(stored, named, replace=True).imported == 1
    newest = kept(stored)
    assert newest is not None and (newest[1] == ~disc()).all()


def test_an_export_of_ours_comes_back(stored: Settings, tmp_path: Path) -> None:
    with opened(stored) as app:
        mask(app, 1, version="seg-1")
    datasets.create(stored, "all", Query(any_hashtags=("hoodie",)), replace=False)
    frozen.freeze(stored, "all", "", {"train": 1.0}, 0)
    out = tmp_path / "out"
    export(stored, "all", ExportOptions("coco", out))
    (png,) = out.glob("masks/*/*.png")
    png.write_bytes(png_mask(~disc()))  # a person corrected it
    assert taken(stored, out).imported == 1
    newest = kept(stored)
    assert newest is not None and (newest[1] == ~disc()).all()
    (instances,) = out.glob("annotations/instances_*.json")
    assert taken(stored, instances, replace=True).imported == 1
    newest = kept(stored)
    assert newest is not None and (newest[1] == disc()).all()


@pytest.mark.parametrize(
    ("segmentation", "image"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": [1]}, {}),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}, {}),
        ({"size": [10**6, 10**6], "counts": [10**12]}, {}),
        ({"size": [HEIGHT, WIDTH], "counts": "\x01~~~~~~~~~~~~~~~~~"}, {}),
        ({"size": [HEIGHT, WIDTH]}, {}),
        ([[1, 2, 3]], {}),
        ([[1, 2, 3, 4, "5", 6]], {}),
        ([[1, 2, 3, 4, float("inf"), 6]], {}),
        ([[0.5] * 400_000], {}),
        ("nothing", {}),
        ([[1, 2, 30, 4, 30, 30]], {"width": 10**5, "height": 10**5}),
        ([[1, 2, 30, 4, 30, 30]], {"width": True, "height": "48"}),
        ([[1, 2, 30, 4, 30, 30]], {"width": WIDTH, "height": WIDTH}),  # other proportions
        ([[1, 2, 30, 4, 30, 30]], {"file_name": "../secret.jpg"}),
        ([[1, 2, 30, 4, 30, 30]], {"file_name": "\0"}),
        ([[1, 2, 30, 4, 30, 30]], {"source_sha256": "e" * 64}),  # not stored here
    ],
)
def test_a_mask_that_is_none_is_told_and_stops_nothing(
    stored: Settings, tmp_path: Path, segmentation: Any, image: dict[str, Any]
) -> None:
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    photos = beside(tmp_path)
    found = taken(stored, coco(tmp_path, segmentation, **image), photos)
    assert (found.imported, len(found.problems)) == (0, 1), found
    assert kept(stored) is None


@pytest.mark.parametrize("text", ["", "[1]", '{"images": 1}', "[" * 100_000, '{"images": [1]}'])
def test_a_file_that_is_no_coco_is_refused(stored: Settings, tmp_path: Path, text: str) -> None:
    path = tmp_path / "coco.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        taken(stored, path)
    path.write_text('{"images": [1, {"id": []}, {"id": 4}], "annotations": [3, {"image_id": []}]}')
    with pytest.raises(NothingToDo):
        taken(stored, path)
    with pytest.raises(UsageError):
        taken(stored, tmp_path / "nowhere")


def test_a_png_that_is_none(stored: Settings, tmp_path: Path) -> None:
    for data in (b"no picture", png_mask(np.ones((500, 400), np.bool_))):
        (tmp_path / f"{SHA}.png").write_bytes(data)
        assert len(taken(stored, tmp_path).problems) == 1
    with opened(stored) as app, pytest.raises(UsageError):
        keep(app, "e" * 64, disc(), None, "eva", MaskOrigin.IMPORT)
