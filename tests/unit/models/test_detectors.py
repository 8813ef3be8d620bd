"""Official detectors: the hub's layout, read by the real library; the same answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import select

from bot import config as configuration
from bot.cli import main as cli
from bot.service.app import networks_of, opened
from models.base import WeightsError
from models.detect.boxes import Boxes
from models.detect.views import answers
from models.serving.catalogue import CATALOGUE
from storage.tables import ObjectJob, ObjectLabel
from tests import official
from tests.datasets import put
from tests.pictures import jpeg, noise

pytestmark = [pytest.mark.learn, pytest.mark.slow]
PICTURE = official.picture(60, 90)
CLASSES = ["red hat", "shoe", "dog"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from tests.official_detectors import SAVE

    home = tmp_path_factory.mktemp("detectors")
    for kind, save in SAVE.items():
        save(home / kind)
    return {kind: home / kind for kind in SAVE}


def ask(kind: str, folder: Path, classes: list[str], threshold: float = 0.05) -> Any:
    from models.official.detection import answerer

    return answerer(kind, str(folder), 1)({"classes": classes, "threshold": threshold}, [PICTURE])[
        1
    ]


def test_owlv2_says_what_the_library_says(folders: dict[str, Path]) -> None:
    import torch
    from transformers import Owlv2ForObjectDetection, Owlv2Processor

    scores, corners, classes = ask("owlv2", folders["owlv2"], CLASSES)
    processor = Owlv2Processor.from_pretrained(folders["owlv2"])
    network = Owlv2ForObjectDetection.from_pretrained(folders["owlv2"]).eval()
    texts = [[f"a photo of a {name}" for name in CLASSES]]
    inputs = processor(text=texts, images=PICTURE, padding="max_length", return_tensors="pt")
    with torch.inference_mode():
        wanted = processor.post_process_grounded_object_detection(
            network(**inputs), threshold=0.05, target_sizes=[(60, 90)]
        )[0]
    assert len(scores) > 0
    assert scores == pytest.approx(wanted["scores"].numpy(), abs=1e-5)
    assert corners == pytest.approx(wanted["boxes"].numpy(), abs=1e-3)
    assert classes.tolist() == wanted["labels"].tolist()


def test_grounding_dino_says_what_the_library_says(folders: dict[str, Path]) -> None:
    import torch
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    folder = folders["grounding-dino"]
    scores, corners, classes = ask("grounding-dino", folder, CLASSES)
    processor = GroundingDinoProcessor.from_pretrained(folder)
    network = GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    inputs = processor(images=PICTURE, text="red hat. shoe. dog.", return_tensors="pt")
    with torch.inference_mode():
        wanted = processor.post_process_grounded_object_detection(
            network(**inputs), inputs["input_ids"], threshold=0.05, target_sizes=[(60, 90)]
        )[0]
    by_place = {tuple(np.round(box, 1)): score for box, score in zip(corners, scores, strict=True)}
    theirs = {
        tuple(np.round(box.numpy().astype(float), 1)): float(score)
        for box, score in zip(wanted["boxes"], wanted["scores"], strict=True)
    }
    assert len(scores) > 0
    assert by_place.keys() <= theirs.keys()
    assert set(classes.tolist()) <= {0, 1, 2}
    # a box's score is that of its class: marks between classes name nothing, and do not count
    assert all(by_place[place] <= theirs[place] + 1e-5 for place in by_place)


def test_rt_detr_knows_its_classes_and_answers_in_the_order_that_is_asked(
    folders: dict[str, Path],
) -> None:
    from models.official.detection import answerer

    look = answerer("rt-detr", str(folders["rt-detr"]), 1)
    known = look({}, [])[0]["known"]
    assert known == ["person", "dog", "cat", "backpack"]
    every = look({"classes": known, "threshold": 0.0}, [PICTURE])[1]
    dogs = look({"classes": ["cat", "dog"], "threshold": 0.0}, [PICTURE])[1]
    number_of = {"dog": (1, 1), "cat": (2, 0)}
    for name, (before, after) in number_of.items():
        ours = sorted(every[0][every[2] == before].tolist())
        assert ours == pytest.approx(sorted(dogs[0][dogs[2] == after].tolist())), name
    assert set(dogs[2].tolist()) <= {0, 1}


def test_a_folder_without_such_a_network_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from models.official.detection import answerer

    with pytest.raises(WeightsError, match="rt-detr"):
        answerer("rt-detr", str(tmp_path), 1)


def test_views_come_back_to_the_picture() -> None:
    """A detector that sees the brightest pixel, in any view."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[8:12, 60:64] = 255

    def detect(view: Any) -> Boxes:
        rows, columns = np.nonzero(view[..., 0] > 100)
        corners = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
        return Boxes(np.array(corners, float), np.array([0.9]), np.array([0]))

    found = answers(detect, image, (1.0, 0.5, 2.0))
    assert len(found) == 6
    for boxes in found:
        assert boxes.corners[0] == pytest.approx([60, 8, 64, 12], abs=1.5)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: Any, *arguments: str) -> tuple[int, Any]:
    monkeypatch.setattr(sys, "argv", ["tagecho", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(str(end.value.code)), capsys.readouterr()


def test_from_the_hubs_files_to_labels_by_the_commands(
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OWLv2, then segment-anything for its boxes, each in its process."""
    official.unpinned(monkeypatch)
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n[models]\noffline = true\n')
    settings = configuration.load(config)
    with opened(settings) as app:
        for n in range(2):
            put(app, f"n{n}", f"u{n}", images=[jpeg(noise(n, 90 + n))], into="d")
        put(app, "bad", "u9", images=[b"no image"], into="d")
    home = networks_of(settings)
    folder = home / "official" / "owlv2-base"
    folder.mkdir(parents=True)
    names = {f.name for file in CATALOGUE["owlv2-base"].files for f in (file, file.instead) if f}
    for path in folders["owlv2"].iterdir():
        if path.name in names:
            (folder / path.name).write_bytes(path.read_bytes())
    code, said = run(capsys, monkeypatch, "models", "pull", "owlv2-base", "-c", str(config))
    assert code == 0, said.err
    official.put(home, "sam-vit-b", _save_sam)
    code, said = run(
        capsys, monkeypatch, "label", "d", "--classes", "red hat, dog", "--by", "owlv2-base",
        "--least", "0.05", "-c", str(config), "--json",
    )  # fmt: skip
    assert code == 1, said.err
    printed = json.loads(said.out)
    assert printed["states"]["failed"] == 1, printed
    assert printed["states"]["done"] == 2, printed
    assert any("sam-vit-b" in name for name in printed["facts"]["networks"])
    with opened(settings) as app, app.database.read() as session:
        rows = session.exec(select(ObjectLabel)).all()
        jobs = session.exec(select(ObjectJob)).all()
    assert {row.name for row in rows} <= {"red hat", "dog"}
    assert all(0 <= row.left < row.right <= 91 for row in rows)
    assert any(row.mask is not None for row in rows)
    assert all(row.made_by.startswith("owlv2-base-") for row in rows)
    assert len(jobs) == 3


def _save_sam(path: Path) -> None:
    import torch

    torch.save(official.sam().state_dict(), path)
