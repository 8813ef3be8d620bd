"""Every export, loaded with what its users load it with."""

from __future__ import annotations

import gc
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import yaml
from sqlmodel import select

from bot.dataset import snapshots as frozen
from bot.dataset.export.folder import ExportOptions, export
from bot.dataset.export.formats import FORMATS
from bot.dataset.importing.folder import take
from bot.service.app import opened
from bot.verbs import datasets as names
from models.images.codec import png_mask
from storage.queries import Query
from storage.tables import MediaRow, PostRow
from tests.databases import NOW
from tests.datasets import SIZE, disc, fit, judge, mask, picture, put, settings_at

COUNT = 10
pytestmark = [
    pytest.mark.slow,  # the libraries take seconds to import
    # pycocotools 2.0 hands numpy 2 an array type without its `copy` keyword.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
    # rdflib's own parser uses what rdflib calls outdated; mlcroissant reads JSON-LD with it.
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
]
# They leave tars, and files of several frames, to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed file .*[.](tar|gif):ResourceWarning")


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
    names.create(settings, "h", Query(any_hashtags=("hoodie", "red")), replace=False)
    frozen.freeze(settings, "h", "", {"train": 0.6, "val": 0.2, "test": 0.2}, 0)
    for kind in FORMATS:
        export(settings, "h", ExportOptions(kind, folder / kind, fields="default,caption"))
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


# --- what is rare in a stream, and what other tools stumble over ---


MIXED = 12


def two_discs(size: tuple[int, int] = SIZE) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """An object of two parts, one left and one right."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    near = [(columns - x) ** 2 + (rows - height / 2) ** 2 < 81 for x in (width / 4, width * 3 / 4)]
    return np.asarray(near[0] | near[1], dtype=np.bool_)


def as_file(kind: str, n: int) -> tuple[bytes, str, str]:
    """A picture of SIZE as a file of this kind, with its media type and what decoding notes."""
    if kind == "turned":
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        return picture(n, (SIZE[1], SIZE[0]), exif=exif), "image/jpeg", "exif-rotated"
    if kind == "gif":
        grey = (np.full((SIZE[1], SIZE[0], 3), value, np.uint8) for value in (200, 20))
        frames = [PIL.Image.fromarray(frame) for frame in grey]
        file = io.BytesIO()
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return file.getvalue(), "image/gif", "first-frame"
    return picture(n, kind=kind.upper()), f"image/{kind}", ""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of several kinds, one of them turned by EXIF; captions of a split that look like
    dates or numbers; a class that is an emoji; objects of two parts."""
    folder = tmp_path_factory.mktemp("mixed")
    settings = settings_at(folder)
    kinds = ["jpeg", "png", "webp", "gif", "turned", "jpeg"] * 2
    with opened(settings) as app:
        for n, kind in enumerate(kinds):
            data, mime, notes = as_file(kind, n)
            written = ("2026-01-31", "12", "2026-01-31T12:00:00Z")[n % 3]
            moment = NOW - timedelta(days=1, microseconds=500_000 * (n % 2))
            said: dict[str, Any] = {"mime": mime, "caption": written, "taken": moment}
            (media,) = put(app, f"p{n}", f"u{n}", ("fun🎉",), images=[data], **said)
            with app.database.write() as session:
                session.get_one(MediaRow, media).notes = notes
            mask(app, media, data=png_mask(two_discs()))
    names.create(settings, "m", Query(any_hashtags=("fun🎉",)), replace=False)
    frozen.freeze(settings, "m", "", {"train": 0.5, "val": 0.25, "test": 0.25}, 0)
    for kind in FORMATS:
        export(settings, "m", ExportOptions(kind, folder / kind, fields="default,caption"))
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder that has nothing to do with the export."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def as_ultralytics_finds_them(config: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The names and the folders of data.yaml by the rule of `check_det_dataset` in
    `ultralytics.data.utils` (8.3 and 8.4): `path`, or else the folder of the file; a relative one
    that is not there is sought elsewhere. Labels lie where the last `images` says `labels`."""
    data = yaml.safe_load(config.read_text(encoding="utf-8"))
    root = Path(data.get("path") or config.parent)
    if not root.exists() and not root.is_absolute():
        root = Path("datasets") / root
    splits = ("train", "val", "test")
    return data["names"], {split: (root / data[split]).resolve() for split in splits}


@pytest.mark.usefixtures("elsewhere")
def test_yolo_is_read_from_any_folder(mixed: Path) -> None:
    readable = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}  # in every version
    names, folders = as_ultralytics_finds_them(mixed / "yolo" / "data.yaml")
    assert names == {0: "fun🎉", 1: "object"}
    images = [path for folder in folders.values() for path in folder.iterdir()]
    assert len(images) == MIXED
    for path in images:
        assert path.suffix in readable
        with PIL.Image.open(path) as image:
            assert image.size == SIZE and getattr(image, "n_frames", 1) == 1
            assert 0x0112 not in image.getexif()
        label = Path("/labels/".join(str(path).rsplit("/images/", 1))).with_suffix(".txt")
        (line,) = label.read_text().splitlines()
        category, *values = map(float, line.split())
        assert category == 0
        points = np.array(values).reshape(-1, 2) * SIZE
        canvas = PIL.Image.new("1", SIZE)
        PIL.ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], fill=1)
        drawn = np.asarray(canvas)
        assert (drawn & two_discs()).sum() / (drawn | two_discs()).sum() > 0.8


@pytest.mark.parametrize("kind", ["imagefolder", "parquet", "webdataset"])
@pytest.mark.usefixtures("elsewhere")
@UNCLOSED
def test_datasets_gives_an_image_and_the_same_types_in_every_row(
    mixed: Path, hub: Any, tmp_path: Path, kind: str
) -> None:
    loaded = hub.load_dataset(str(mixed / kind), cache_dir=str(tmp_path / "cache"))
    assert len({str(rows.features) for rows in loaded.values()}) == 1
    wanted = written(mixed, kind)
    seen = 0
    for rows in loaded.values():
        for row in rows:
            about = row.get("json", row)
            image = row["image"] if "image" in row else row["jpg"]
            assert image.size == SIZE
            assert about["caption"] == wanted[about["id"]]["caption"]
            drawn = np.asarray(row["mask"] if "mask" in row else row["mask.png"]) >= 128
            assert (drawn == two_discs()).all()
            seen += 1
    assert seen == MIXED
    gc.collect()


@pytest.mark.usefixtures("elsewhere")
def test_datasets_reads_the_folder_without_its_card(mixed: Path, hub: Any, tmp_path: Path) -> None:
    folder = str(mixed / "imagefolder" / "data")
    loaded = hub.load_dataset("imagefolder", data_dir=folder, cache_dir=str(tmp_path / "cache"))
    (text,) = {str(rows.features["caption"]) for rows in loaded.values()}
    assert text == "Value('string')"
    assert sum(map(len, loaded.values())) == MIXED


@pytest.mark.parametrize(
    "captions",
    [
        ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31 12:00"],
        ["2026-01-31", "2026-01-31 ", "12"],
        ["2026-01-31"],  # one image: as many as files of lines
    ],
    ids=["all dates", "not all dates", "one date"],
)
@pytest.mark.usefixtures("elsewhere")
def test_texts_that_look_like_dates_are_the_same_texts(
    hub: Any, tmp_path: Path, captions: list[str]
) -> None:
    settings = settings_at(tmp_path / "here")
    with opened(settings) as app:
        for n, caption in enumerate(captions):
            put(app, f"p{n}", "u1", caption=caption)
    names.create(settings, "m", Query(any_hashtags=("hoodie",)), replace=False)
    frozen.freeze(settings, "m", "", {"train": 1.0}, 0)
    out = tmp_path / "out"
    export(settings, "m", ExportOptions("imagefolder", out, fields="default,caption"))
    for source in ({"path": str(out)}, {"path": "imagefolder", "data_dir": str(out / "data")}):
        rows = hub.load_dataset(**source, cache_dir=str(tmp_path / "cache"))["train"]
        assert str(rows.features["caption"]) == "Value('string')"
        assert sorted(rows["caption"]) == sorted(captions)
    there = settings_at(tmp_path / "there")
    take(there, out, "back")
    with opened(there) as app, app.database.read() as session:
        assert sorted(session.exec(select(PostRow.caption))) == sorted(captions)


@UNCLOSED
def test_webdataset_reads_one_kind_of_image(mixed: Path) -> None:
    library = pytest.importorskip("webdataset", reason="webdataset of the dev extra")
    tars = sorted(map(str, (mixed / "webdataset").glob("*.tar")))
    rows = library.WebDataset(tars, shardshuffle=False, empty_check=False).decode("rgb8")
    assert [one["jpg"].shape for one in rows] == [(SIZE[1], SIZE[0], 3)] * MIXED
    gc.collect()


def test_coco_images_are_upright_and_still(mixed: Path) -> None:
    library = pytest.importorskip("pycocotools.coco", reason="pycocotools of the dev extra")
    seen = 0
    for path in sorted((mixed / "coco" / "annotations").glob("instances_*.json")):
        coco = library.COCO(path)
        split = path.stem.partition("_")[2]
        for one in coco.loadAnns(coco.getAnnIds()):
            (about,) = coco.loadImgs(one["image_id"])
            with PIL.Image.open(mixed / "coco" / "images" / split / about["file_name"]) as image:
                assert image.size == (about["width"], about["height"]) == SIZE
                assert image.format != "GIF"
            assert (coco.annToMask(one).astype(bool) == two_discs()).all()
            seen += 1
    assert seen == MIXED
