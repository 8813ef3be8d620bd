"""`python -m research.labels`: a backbone's features, judged as the service judges."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra")

from research import labels as arms  # noqa: E402

pytestmark = pytest.mark.learn


def posts(folder: Path, count: int = 30) -> Path:
    (folder / "photos").mkdir(parents=True)
    colours = {"red": (220, 30, 30), "green": (30, 200, 50), "blue": (30, 50, 220)}
    lines = []
    for number in range(count):
        tag = list(colours)[number % 3]
        noise = np.random.default_rng(number).normal(0, 9, (32, 32, 3))
        pixels = (np.array(colours[tag]) + noise).clip(0, 255).astype(np.uint8)
        Pil.fromarray(pixels).save(folder / "photos" / f"p{number}.png")
        lines.append({"id": f"p{number}", "author": f"user{number % 7}", "hashtag": tag})
    file = folder / "posts.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return file


def test_every_way_is_printed_for_every_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = posts(tmp_path / "set")
    monkeypatch.setattr(sys, "argv", ["arms", "--posts", str(file), "--side", "32"])
    arms.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "30 photos, means of 5 swappings"
    assert [tuple(line.split()[:2]) for line in lines[1:]] == [
        (rate, way) for rate in ("10%", "20%", "40%") for way in ("knn", "probe", "kernel")
    ]


def test_features_that_tell_find_the_swaps() -> None:
    tags = ["a", "b", "c"] * 40
    authors = [f"user{number % 11}" for number in range(120)]
    centre = np.eye(6)[np.arange(120) % 3]
    features = centre + np.random.default_rng(0).normal(0, 0.1, (120, 6))
    found = {row.method: row for row in arms.arm(features.astype(np.float32), tags, authors, 0.2)}
    assert set(found) == {"knn", "probe", "outline"}
    assert all(row.auroc > 0.95 for row in found.values())


@pytest.mark.parametrize(
    ("extra", "problem"),
    [(["--posts", "none/posts.jsonl"], "none"), (["--checkpoint", "none.pt"], r"none\.pt")],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: list[str], problem: str
) -> None:
    file = posts(tmp_path / "set", 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["arms", "--posts", str(file), *extra])
    with pytest.raises(SystemExit, match=f"error: .*{problem}"):
        arms.main()
