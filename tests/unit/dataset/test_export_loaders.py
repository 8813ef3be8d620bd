"""Every export, loaded with what its users load it with."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.dataset import snapshots as frozen
from bot.dataset.export import FORMATS, Options, export
from bot.service.app import opened
from bot.verbs import datasets as names
from tests.datasets import disc, fit, judge, mask, put, settings_at

COUNT = 10
pytestmark = [
    pytest.mark.slow,  # the libraries take seconds to import
    # pycocotools 2.0 hands numpy 2 an array type without its `copy` keyword.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
    # rdflib's own parser uses what rdflib calls outdated; mlcroissant reads JSON-LD with it.
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
]
# Both leave the tars to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed file .*[.]tar:ResourceWarning")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos, a disc on each but the first, exported in every format."""
    folder = tmp_path_factory.mktemp("loaders")
    settings = settings_at(folder)
    with opened(settings) as app:
        for n in range(COUNT):
            (media,) = put(app, f"p{n}", f"u{n}", ("hoodie", "red"), caption=f"№ {n} 中文")
            if n:
                mask(app, media)
                fit(app, n + 1, "red" if n % 2 else "hoodie", 0.875)
            judge(app, media)
    names.create(settings, "h", {"any_hashtags": ["hoodie", "red"]}, replace=False)
    frozen.freeze(settings, "h", "", {"train": 0.6, "val": 0.2, "test": 0.2}, 0)
    for kind in FORMATS:
        export(settings, "h", Options(kind, folder / kind, fields="default,caption"))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`datasets`, which may not ask anybody for anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    hub = pytest.importorskip("datasets", reason="datasets of the dev extra")
    hub.disable_progress_bars()
    return hub


def written(exports: Path, kind: str) -> dict[str, dict[str, Any]]:
    lines = (exports / kind / "records.jsonl").read_text().splitlines()
    return {one["id"]: one for one in map(json.loads, lines)}


@pytest.mark.parametrize("kind", ["imagefolder", "parquet"])
def test_datasets_loads_images_masks_and_labels(
    exports: Path, hub: Any, tmp_path: Path, kind: str
) -> None:
    loaded = hub.load_dataset(str(exports / kind), cache_dir=str(tmp_path / "cache"))
    wanted = written(exports, kind)
    seen = 0
    for split, rows in loaded.items():
        for row in rows:
            one = wanted[row["id"]]
            assert one["split"] == split == row["split"]
            assert row["image"].size == (one["width"], one["height"]) == (64, 48)
            load = json.loads if kind == "imagefolder" else list
            assert load(row["hashtags"]) == ["hoodie", "red"]
            assert load(row["probabilities"]) == one["probabilities"]
            assert row["caption"] == one["caption"]
            assert row["url"] == one["url"]
            drawn = np.asarray(row["mask"]) >= 128 if row["mask"] else np.zeros((48, 64), bool)
            assert (drawn == (disc() if row["mask_model"] else 0)).all()
            seen += 1
    assert seen == len(wanted) == COUNT


@UNCLOSED
def test_webdataset_reads_the_tars(exports: Path) -> None:
    library = pytest.importorskip("webdataset", reason="webdataset of the dev extra")
    tars = sorted(map(str, (exports / "webdataset").glob("*.tar")))
    wanted = written(exports, "webdataset")
    seen = []
    for one in library.WebDataset(tars, shardshuffle=False, empty_check=False).decode("rgb8"):
        about = one["json"]
        assert one["jpg"].shape == (48, 64, 3)
        assert about["hashtags"] == wanted[about["id"]]["hashtags"]
        assert ((one["mask.png"][..., 0] >= 128) == (disc() if about["mask_model"] else 0)).all()
        seen.append(about["id"])
    assert sorted(seen) == sorted(wanted)
    gc.collect()


@UNCLOSED
def test_datasets_reads_the_tars_too(exports: Path, hub: Any, tmp_path: Path) -> None:
    loaded = hub.load_dataset(str(exports / "webdataset"), cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, loaded.values())) == COUNT
    gc.collect()


@pytest.mark.parametrize(("file", "least"), [("instances", 1.0), ("polygons", 0.9)])
def test_pycocotools_draws_the_masks(exports: Path, file: str, least: float) -> None:
    library = pytest.importorskip("pycocotools.coco", reason="pycocotools of the dev extra")
    drawn = 0
    for path in sorted((exports / "coco" / "annotations").glob(f"{file}_*.json")):
        coco = library.COCO(path)
        split = path.stem.partition("_")[2]
        for image in coco.loadImgs(coco.getImgIds()):
            assert (exports / "coco" / "images" / split / image["file_name"]).is_file()
        for one in coco.loadAnns(coco.getAnnIds()):
            mine, right = coco.annToMask(one).astype(bool), disc()
            assert (mine & right).sum() / (mine | right).sum() >= least
            assert one["area"] == right.sum()
            x, y, width, height = one["bbox"]
            assert right[y : y + height, x : x + width].sum() == right.sum()
            number = int(coco.loadImgs(one["image_id"])[0]["source_id"].rpartition("/")[2])
            (category,) = coco.loadCats(one["category_id"])
            assert category["name"] == ("red" if number % 2 else "hoodie")  # what fits best
            drawn += 1
    assert drawn == COUNT - 1


def test_yolo_labels_are_the_masks(exports: Path) -> None:
    import PIL.Image
    import PIL.ImageDraw

    folder = exports / "yolo"
    labels = sorted(folder.glob("labels/*/*.txt"))
    assert len(labels) == COUNT - 1
    for path in labels:
        split, stem = path.parent.name, path.stem
        assert (folder / "images" / split / f"{stem}.jpg").is_file()
        canvas = PIL.Image.new("1", (64, 48))
        for line in path.read_text().splitlines():
            category, *values = line.split()
            assert category == ("1" if int(stem) % 2 else "0")
            points = [(float(x) * 64, float(y) * 48) for x, y in zip(values[::2], values[1::2], strict=True)]  # fmt: skip  # noqa: E501
            PIL.ImageDraw.Draw(canvas).polygon(points, fill=1)
        drawn = np.asarray(canvas)
        assert (drawn & disc()).sum() / (drawn | disc()).sum() > 0.9
    text = (folder / "data.yaml").read_text()
    assert '0: "hoodie"\n  1: "red"\n  2: "object"' in text


@pytest.mark.parametrize("kind", FORMATS)
def test_mlcroissant_validates_and_reads_the_records(exports: Path, kind: str) -> None:
    library = pytest.importorskip("mlcroissant", reason="mlcroissant of the dev extra")
    loaded = library.Dataset(jsonld=str(exports / kind / "croissant.json"))
    assert not loaded.metadata.issues.errors
    assert not loaded.metadata.issues.warnings
    wanted = written(exports, kind)
    found = list(loaded.records("images"))
    assert len(found) == len(wanted)
    for one in found:
        text = {key: v.decode() if isinstance(v, bytes) else v for key, v in one.items()}
        right = wanted[text["images/id"]]
        for key in ("post_id", "url", "author", "sha256", "split", "file_name", "caption"):
            assert text[f"images/{key}"] == right[key]
        assert [tag.decode() for tag in one["images/hashtags"]] == right["hashtags"]
        assert one["images/width"] == right["width"]
    for one in json.loads((exports / kind / "croissant.json").read_text())["distribution"]:
        assert (exports / kind / one["contentUrl"]).stat().st_size == int(one["contentSize"][:-2])
