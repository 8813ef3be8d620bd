"""Masks that people drew: in snapshots and exports, to evaluate, to teach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.dataset import snapshots as frozen
from bot.dataset.drawn_masks import DrawnMasks, Together
from bot.dataset.export.folder import ExportOptions, export
from bot.service.app import App, opened
from bot.verbs import datasets
from bot.verbs.evaluate import evaluate
from bot.verbs.masks import keep
from models.base import Mask
from storage.masks import MaskOrigin
from storage.queries import Query
from storage.tables import MediaRow
from tests.datasets import SIZE, mask, put
from tests.learning import people

WIDTH, HEIGHT = SIZE


def half() -> Mask:
    drawn = np.zeros((HEIGHT, WIDTH), np.bool_)
    drawn[:, : WIDTH // 2] = True
    return drawn


def draw(app: App, media: int, drawn: Mask) -> str:
    """Returns the SHA-256 of the image."""
    with app.database.read() as session:
        source = session.get_one(MediaRow, media).sha256 or ""
    keep(app, source, drawn, None, "eva", MaskOrigin.EDITOR)
    return source


@pytest.mark.parametrize("kind", ["coco", "imagefolder", "parquet", "webdataset", "yolo"])
def test_an_export_has_the_newest_mask_of_a_person(
    settings: Settings, tmp_path: Path, kind: str
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    with opened(settings) as app:
        images = [put(app, f"p{n}", f"u{n}")[0] for n in range(2)]
        for media in images:
            mask(app, media, version="seg-1")
        draw(app, images[0], ~half())
        draw(app, images[0], half())
    datasets.create(settings, "all", Query(any_hashtags=("hoodie",)), replace=False)
    frozen.freeze(settings, "all", "", {"train": 1.0}, 0)
    out = tmp_path / "out"
    export(settings, "all", ExportOptions(kind, out, masks=True))
    lines = (out / "records.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["post_id"]: row for row in map(json.loads, lines)}
    assert found["p0"]["mask_model"] == "person"  # --masks computes all others
    assert found.get("p1", {}).get("mask_model") != "person"
    if kind in ("coco", "imagefolder", "yolo"):
        with Pil.open(out / found["p0"]["mask_file_name"]) as image:
            assert (np.asarray(image) > 127).tolist() == half().tolist()


def test_a_mask_that_is_drawn_later_changes_no_snapshot(settings: Settings, tmp_path: Path) -> None:
    with opened(settings) as app:
        (media,) = put(app, "p0")
        mask(app, media, version="seg-1")
    datasets.create(settings, "all", Query(any_hashtags=("hoodie",)), replace=False)
    frozen.freeze(settings, "all", "", {"train": 1.0}, 0)
    with opened(settings) as app:
        draw(app, media, half())
    export(settings, "all/1", ExportOptions("coco", tmp_path / "out"))
    (line,) = (tmp_path / "out" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["mask_model"] == "seg-1"


def test_one_person_in_five_evaluates_and_the_others_teach(settings: Settings) -> None:
    (taught,), (asked,) = people(1, out=False), people(1, out=True)
    with opened(settings) as app:
        images = [put(app, f"p{n}", user)[0] for n, user in enumerate((taught, asked, taught))]
        sources = [draw(app, media, half()) for media in images[:2]]
        draw(app, images[2], np.zeros((HEIGHT, WIDTH), np.bool_))  # no object
        evaluates, teaches = DrawnMasks(app, held_out=True), DrawnMasks(app, held_out=False)
        assert (teaches.ids, evaluates.ids) == (sources[:1], sources[1:])
        item = Together([evaluates, teaches]).read(f"1/{sources[0]}")
        assert item.image.shape == (HEIGHT, WIDTH, 3) and (item.mask == half()).all()
        assert teaches.mask(sources[0], 128, 96).shape == (96, 128)
        assert teaches.mask(sources[0], 128, 96)[:, :60].all()


def test_the_networks_in_service_are_measured_on_drawn_masks(settings: Settings) -> None:
    (asked,) = people(1, out=True)
    with pytest.raises(NothingToDo, match="held out"):
        evaluate(settings, None, None, drawn=True)
    with opened(settings) as app:
        draw(app, put(app, "p0", asked)[0], half())
    found = evaluate(settings, None, None, drawn=True)
    assert found.masks is not None and found.masks.figures[0].images == 1
    with pytest.raises(UsageError, match="--drawn"):
        evaluate(settings, Path("set"), None, drawn=True)
