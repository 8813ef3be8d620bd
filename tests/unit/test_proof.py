"""The proof: its bookkeeping, its controls, and the whole of it on small drawings (needs torch)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.proof import masks as proof_masks  # noqa: E402
from models.segment.evaluate import selection  # noqa: E402

pytestmark = pytest.mark.learn
torch.set_num_threads(1)


def drawing(seed: int, height: int = 96, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A bright ellipse before a coarse texture of its own, and its mask."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    tall, wide = rng.uniform(0.25, 0.4) * height, rng.uniform(0.2, 0.3) * width
    mask = ((rows - height / 2) / tall) ** 2 + ((columns - width / 2) / wide) ** 2 < 1
    coarse = rng.integers(0, 90, (12, 10, 3)).repeat(8, 0).repeat(8, 1)
    image = np.where(mask[..., None], rng.integers(150, 255, 3), coarse)
    return (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8), mask


def folders(root: Path, count: int = 14) -> list[str]:
    """Arguments of the command line for folders as it wants them, with drawings in them."""
    ids = [*sorted(selection())[:4], *(f"x{number}" for number in range(6))]
    for part in ("photos", "labels"):
        (root / "masks" / part).mkdir(parents=True)
    for number, name in enumerate(ids):
        image, mask = drawing(number)
        Pil.fromarray(image).save(root / "masks" / "photos" / f"{name}.jpg", quality=95)
        Pil.fromarray(mask.astype(np.uint8)).save(root / "masks" / "labels" / f"{name}.png")
    for part, field in (("hashtags", "hashtag"), ("tagged", "hashtags")):
        (root / part / "photos").mkdir(parents=True)
        lines = []
        for number in range(count):
            image, _ = drawing(100 + number if part == "tagged" else 200 + number)
            if part == "tagged" and number == 0:
                image, _ = drawing(5)  # a shot of the masks
            Pil.fromarray(image).save(root / part / "photos" / f"{part}{number}.jpg", quality=95)
            tag = ("hat", "shoe", "skip")[number % 3]
            lines.append({"id": f"{part}{number}", field: tag if field == "hashtag" else [tag]})
        text = "\n".join(map(json.dumps, lines))
        (root / part / "posts.jsonl").write_text(text)
    (root / "general" / "things").mkdir(parents=True)
    for number in range(count):
        Pil.fromarray(drawing(300 + number)[0]).save(root / "general" / "things" / f"{number}.jpg")
    names = ("masks", "hashtags", "tagged", "general")
    return [part for name in names for part in (f"--{name}", str(root / name))]


SMALL = [
    "--steps", "2", "--tune-steps", "2", "--head-steps", "2", "--batch", "4", "--tune-batch", "2",
    "--width", "16", "--depth", "1", "--locals", "1", "--side", "32", "--seeds", "0",
    "--sizes", "8", "0",
]  # fmt: skip


@pytest.mark.slow
def test_the_whole_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    proof_masks.main([*folders(tmp_path), "--out", str(out), *SMALL])
    table = capsys.readouterr().out
    for arm in ("(a)", "(b)", "(d)", "(d2)", "(e)", "centre box", "GrabCut", "U-Net"):
        assert f"| {arm}" in table or f"control: {arm}" in table
    assert "8 images" in table
    assert "pushed to a border" in table
    assert json.loads((out / "repeats.json").read_text()) == ["tagged0"]
    before = {path: path.stat().st_mtime_ns for path in (out / "results").rglob("*.json")}
    proof_masks.main([*folders_again(tmp_path), "--out", str(out), *SMALL])
    assert capsys.readouterr().out == table
    assert before == {p: p.stat().st_mtime_ns for p in (out / "results").rglob("*.json")}


def folders_again(root: Path) -> list[str]:
    names = ("masks", "hashtags", "tagged", "general")
    return [part for name in names for part in (f"--{name}", str(root / name))]
