"""`models list | verify | evaluate`: drawn sets, the shipped networks, and sets that are broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo, UsageError
from bot.dataset.evaluation_sets import MaskSet, limited, tagged_photos
from bot.verbs import networks as weights
from bot.verbs.evaluate import (
    BOX,
    EMPTY,
    OURS,
    Evaluation,
    evaluate,
    label_report,
    mask_report,
    table,
)
from models.base import Image, Segmentation
from models.metrics.masks import max_f
from models.metrics.summary import figures, scored
from models.segment.evaluate import selection
from models.serving import inventory
from models.serving.packs import EMBEDDED
from tests.command import Run

SETTINGS = Settings()
COLOURS = {"red": (210, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 210)}


@pytest.fixture
def tagecho(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagecho: Run) -> Run:
    """`tagecho models ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(tagecho, "models")


def disc(colour: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a disc on grey, and its label: 7 inside."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:96, :80]
    inside = (rows - 48) ** 2 + (columns - 40) ** 2 < (24 + seed % 5) ** 2
    image = np.where(inside[..., None], colour, (120, 120, 120)) + rng.normal(0, 6, (96, 80, 3))
    return image.clip(0, 255).astype(np.uint8), inside.astype(np.uint8) * 7


def masks(folder: Path, names: list[str]) -> Path:
    (folder / "photos").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number, name in enumerate(names):
        image, label = disc(list(COLOURS.values())[number % 3], number)
        Pil.fromarray(image).save(folder / "photos" / f"{name}.jpg", quality=95)
        Pil.fromarray(label).save(folder / "labels" / f"{name}.png")
    return folder


def posts(folder: Path, count: int = 45) -> Path:
    (folder / "photos").mkdir(parents=True)
    lines = []
    for number in range(count):
        tag = list(COLOURS)[number % 3]
        Pil.fromarray(disc(COLOURS[tag], number)[0]).save(folder / "photos" / f"p{number}.jpg")
        lines.append({"id": f"p{number}", "author": f"user{number % 7}", "hashtag": tag})
    lines.append({"id": "gone", "author": "user1", "hashtag": "notsure"})
    file = folder / "posts.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return file


class Colourful:
    """A segmenter that anybody can follow: what has a colour is the object, and its mean is seen.

    The shipped one learned people and clothes, and is replaced by better ones.
    """

    version = "colourful-1"

    def __call__(self, image: Image) -> Segmentation:
        spread = np.ptp(image.astype(np.float32), axis=2) / 255
        mask = spread > 0.3
        seen = image[mask].mean(axis=0) - 100
        embedding = (seen / np.linalg.norm(seen)).astype(np.float32)
        return Segmentation(np.clip(spread, 0, 1), mask, 1.0, embedding)


def test_figures_of_masks_by_hand() -> None:
    wanted = np.zeros((8, 8), bool)
    wanted[:4] = True
    half = np.zeros((8, 8), bool)
    half[:2] = True
    scores = [scored(mask, mask.astype(np.float32), wanted) for mask in (wanted, half, ~wanted)]
    result = figures("three", scores)
    assert result.images == 3
    assert (result.mean_iou.value, result.median_iou.value) == (0.5, 0.5)
    assert result.corloc.value == pytest.approx(2 / 3, abs=1e-4)
    assert result.max_f.value == pytest.approx(
        max_f(np.array([score.curve for score in scores])), abs=1e-4
    )
    assert (result.mean_iou.low, result.mean_iou.high) == (0, 1)
    with pytest.raises(ValueError, match="no images"):
        figures("none", [])


def test_masks_are_reported_beside_their_controls(tmp_path: Path) -> None:
    chosen = min(selection())
    folder = masks(tmp_path / "set", [chosen, "one", "two", "three"])
    report = mask_report(Colourful(), MaskSet(folder, chosen=False), selection=False)
    assert report.split == "report"
    rows = {row.what: row for row in report.figures}
    assert {row.images for row in report.figures} == {3}  # the id for choosing stays out
    assert rows[OURS].mean_iou.value > 0.9 > 0.6 > rows[BOX].mean_iou.value > 0.3
    assert rows[OURS].corloc.value == 1
    assert report.no_mask == 0
    assert rows[EMPTY].mean_iou.value == rows[EMPTY].corloc.value == 0
    assert rows[OURS].mean_iou.low <= rows[OURS].mean_iou.value <= rows[OURS].mean_iou.high
    difference = rows[OURS].mean_iou.value - rows[BOX].mean_iou.value
    assert report.above_box.value == pytest.approx(difference, abs=2e-4)
    assert report.above_box.low > 0
    other = mask_report(Colourful(), MaskSet(folder, chosen=True), selection=True)
    assert (other.split, other.figures[0].images) == ("selection", 1)


def test_hashtags_are_judged_beside_the_baseline(tmp_path: Path) -> None:
    report = label_report(Colourful(), tagged_photos(posts(tmp_path / "set")))
    assert (report.photos, report.authors, report.hashtags) == (45, 7, 3)
    assert report.commonest == pytest.approx(1 / 3, abs=1e-4)
    assert report.knn_accuracy > 0.8
    assert [row.rate for row in report.noise] == [0.1] * 5 + [0.2] * 5 + [0.4] * 5
    assert {row.method for row in report.noise} == {
        "knn", "probe", "outline", "combined", "frequency",
    }  # fmt: skip
    at_20 = {row.method: row.auroc for row in report.noise if row.rate == 0.2}
    assert at_20["combined"] > 0.9
    assert at_20["frequency"] < 0.7
    lines = "\n".join(table(Evaluation("colourful-1", None, report)))
    assert "kNN accuracy" in lines
    assert lines.count("%  frequency") == 3


def test_the_same_few_are_taken_every_time(tmp_path: Path) -> None:
    names = [f"id{number}" for number in range(40)]
    few = limited(names, 10)
    assert few == limited(names, 10)
    assert few == sorted(few, key=names.index)
    assert few != names[:10]
    assert set(few) < set(limited(names, 20))
    assert limited(names, None) == limited(names, 99) == names
    file = posts(tmp_path / "set")
    assert len(tagged_photos(file, 12)) == 12


def test_one_json_document_on_stdout(
    tagecho: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder, file = masks(tmp_path / "m", ["one", "two"]), posts(tmp_path / "p")
    code, out, err = tagecho(
        "evaluate", "--masks", folder, "--labels", file, "--limit", 30, "--json"
    )
    assert code == 0
    assert err == ""  # a progress bar is for terminals
    found = json.loads(out)
    assert found["model"].startswith("segment-")
    assert found["masks"]["figures"][0].keys() == {
        "what", "images", "mean_iou", "median_iou", "max_f", "boundary_f", "corloc",
    }  # fmt: skip
    assert found["masks"]["figures"][0]["max_f"].keys() == {"value", "low", "high"}
    assert found["labels"]["photos"] == 30
    assert len(found["labels"]["noise"]) == 15


def test_a_table_for_people(tagecho: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, _ = tagecho("evaluate", "--masks", masks(tmp_path / "m", ["one", "two"]))
    assert code == 0
    assert "2 images (report)" in out
    assert "control: centre box" in out
    assert "Hashtags" not in out


def test_exit_codes_of_bad_sets(
    tagecho: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert tagecho("evaluate")[0] == 2
    code, _, err = tagecho("evaluate", "--masks", tmp_path / "nowhere")
    assert (code, "no such folder" in err) == (2, True)
    (tmp_path / "empty" / "photos").mkdir(parents=True)
    (tmp_path / "empty" / "labels").mkdir()
    code, _, err = tagecho("evaluate", "--masks", tmp_path / "empty")
    assert (code, "no label images" in err) == (8, True)


def test_a_set_with_nothing_to_report_on(tmp_path: Path) -> None:
    folder = masks(tmp_path / "set", [min(selection())])
    with pytest.raises(NothingToDo, match="is not on the selection list"):
        MaskSet(folder, chosen=False)


def test_labels_without_photos_are_named(tmp_path: Path) -> None:
    folder = masks(tmp_path / "set", ["one", "two", "three", "four", "five"])
    for name in ("one", "two", "three", "four"):
        (folder / "photos" / f"{name}.jpg").unlink()
    with pytest.raises(UsageError, match="4 labels without a photo: four, one, three, …"):
        MaskSet(folder, chosen=False)


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = masks(tmp_path / "set", ["cut", "colour", "text", "large", "photo", "good"])
    labels = folder / "labels"
    (labels / "cut.png").write_bytes((labels / "good.png").read_bytes()[:60])
    (labels / "text.png").write_text("no image")
    Pil.new("RGB", (80, 96)).save(labels / "colour.png")
    Pil.new("L", (40, 40)).save(labels / "large.png")
    (folder / "photos" / "photo.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    found = MaskSet(folder, chosen=False)
    for name, problem in (
        ("cut", r"cut\.png: cannot be read"),
        ("text", r"text\.png: cannot be read"),
        ("colour", r"colour\.png: has colours \(RGB\)"),
        ("large", r"large\.png: 40×40, its photo is 80×96"),
        ("photo", r"photo\.jpg: "),
    ):
        with pytest.raises(UsageError, match=problem):
            found.read(name)
    assert found.read("good").mask.any()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "p0", "user": "ann", "hashtag": "red"}', "needs id, author and hashtag .* has id"),
        ('{"id": 7, "author": "ann", "hashtag": "red"}', "needs id, author and hashtag as text"),
        ('["p0", "ann", "red"]', "has list"),
        ("id,author,hashtag", "is not JSON"),
    ],
)
def test_wrong_columns_are_named_with_their_line(tmp_path: Path, line: str, problem: str) -> None:
    file = posts(tmp_path / "set", 6)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(UsageError, match=rf"posts\.jsonl:8: .*{problem}"):
        tagged_photos(file)


def test_posts_that_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jsonl: No such file"):
        tagged_photos(tmp_path / "nowhere.jsonl")
    file = posts(tmp_path / "set", 6)
    lines = file.read_text().splitlines()
    (file.parent / "photos" / "p1.jpg").unlink()
    with pytest.raises(UsageError, match="1 posts without a photo: p1"):
        tagged_photos(file)
    file.write_text(lines[-1])  # only `notsure`
    with pytest.raises(NothingToDo):
        tagged_photos(file)
    file.write_text(lines[0])
    with pytest.raises(UsageError, match="at least two hashtags by two authors"):
        evaluate(SETTINGS, None, file)
    file.write_text("\n".join([lines[0], lines[2]]))  # ten per cent of two hashtags is none
    with pytest.raises(UsageError, match="both wrong and right"):
        evaluate(SETTINGS, None, file)


def test_the_shipped_networks_are_listed(tagecho: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = tagecho("list", "--json")
    rows = {row["name"]: row for row in json.loads(out) if row["pack"] == "embedded"}
    assert code == 0
    assert rows.keys() >= {"segment", "superres-x2", "superres-x4", "superres-x4-damaged"}
    assert rows["segment"]["stage"] == "segmenter"
    assert rows["superres-x4"]["stage"] == "upscaler"
    for name, row in rows.items():
        assert row["in_service"]
        assert row["licence"]
        assert row["bytes"] == (EMBEDDED / f"{name}.onnx").stat().st_size
    _, text, _ = tagecho("list")
    assert rows["segment"]["sha256"][:12] in text


def test_damaged_weights_end_with_7(
    tagecho: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "embedded"
    shutil.copytree(EMBEDDED, folder)
    monkeypatch.setattr(inventory, "EMBEDDED", folder)
    code, out, _ = tagecho("verify", "--json")
    assert code == 0
    assert {row["problem"] for row in json.loads(out)} == {""}
    path = folder / "segment.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (folder / "superres-x2.onnx").unlink()
    code, out, _ = tagecho("verify")
    assert code == 7
    assert "FAIL segment  segment.onnx is damaged" in out
    assert "FAIL superres-x2  superres-x2.onnx: No such file" in out
    assert "ok   superres-x4\n" in out
    assert "ok   superres-x4-damaged" in out
    (folder / "manifest.json").write_text("{")
    code, _, err = tagecho("list")
    assert (code, "manifest.json: cannot be read" in err) == (7, True)


def test_a_manifest_without_its_columns(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"segment": {"bytes": 1}}')
    with pytest.raises(ModelError, match="licence"):
        weights.listing(SETTINGS, tmp_path)
