"""The study of what DINO on a stream adds, from drawings to its tables (needs torch)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.segment.evaluate import selection  # noqa: E402
from models.student.photos import learning  # noqa: E402
from models.student.targets import target_path  # noqa: E402
from research.proof import domain  # noqa: E402
from tests.unit.research.test_proof import drawing  # noqa: E402

pytestmark = [pytest.mark.learn, pytest.mark.slow]


def photos(root: Path, targets: Path) -> None:
    """Drawings where photos would be, and what teachers would say of them."""
    for name, count in (("masks", 6), ("hashtags", 48), ("tagged", 6)):
        (root / name / "photos").mkdir(parents=True)
        for number in range(count):
            path = root / name / "photos" / f"{number}.jpg"
            Pil.fromarray(drawing(100 * len(name) + number)[0]).save(path)
    for folder in ("one", "other"):
        (root / "general" / folder).mkdir(parents=True)
        for number in range(8):
            path = root / "general" / folder / f"{number}.jpg"
            Pil.fromarray(drawing(300 + number)[0]).save(path)
    (root / "masks" / "labels").mkdir()
    for number, name in enumerate([*sorted(selection())[:3], "x", "y", "z"]):
        (root / "masks" / "photos" / f"{number}.jpg").rename(root / f"masks/photos/{name}.jpg")
        mask = drawing(500 + number)[1]
        Pil.fromarray(mask.astype(np.uint8)).save(root / "masks" / "labels" / f"{name}.png")
    posts = [
        {"id": str(n), "author": f"a{n % 12}", "hashtag": ("hat", "shoe")[n % 2]} for n in range(48)
    ]
    (root / "hashtags" / "posts.jsonl").write_text("\n".join(map(json.dumps, posts)))
    rng = np.random.default_rng(0)
    for photo in learning(root):
        path = target_path(targets, photo)
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros((320, 320), np.uint8)
        mask[80:240, 90:230] = 255
        feature = rng.normal(size=16)
        np.savez(path, mask=mask, feature=(feature / np.linalg.norm(feature)).astype(np.float16))


def test_from_photos_to_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, targets, out = tmp_path / "photos", tmp_path / "targets", tmp_path / "out"
    photos(root, targets)
    small = replace(domain.RECIPE, batch=4, width=16, depth=1, heads=1, patch=16, grid=4, locals=1,
                    hidden=16, bottleneck=8, outputs=16)  # fmt: skip
    for name, value in (("SIZES", (2,)), ("HEAD_STEPS", 4), ("TUNE_STEPS", 2), ("RECIPE", small)):
        monkeypatch.setattr(domain, name, value)
    monkeypatch.setattr(domain, "MEASURES", {"frozen2": "frozen", "tuned2": "tuned",
                                             "hashtags": "hashtags"})  # fmt: skip
    words = ["domain", "--photos", root, "--targets", targets, "--out", out, "--steps", "4",
             "--judged", "6", "--seeds", "0"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    domain.main()
    printed = capsys.readouterr()
    assert printed.out.count("| 1 |") == len(domain.ARMS)
    assert len(list((out / "results").glob("*/*.json"))) == len(domain.ARMS) * 4
    domain.main()
    assert "[1/" not in capsys.readouterr().err, "what was measured is not measured again"
