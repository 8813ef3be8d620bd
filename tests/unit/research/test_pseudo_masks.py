"""The ways to masks that no person drew, on drawings with a known object (needs torch)."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
cv2 = pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.base import Image, Mask, Segmentation  # noqa: E402
from models.dino.vit import Shape, ViT  # noqa: E402
from models.metrics.masks import iou  # noqa: E402
from models.segment.samples import Sample, build_pool  # noqa: E402
from research.proof import pseudo_masks as teaching  # noqa: E402
from research.proof.grabcut import (  # noqa: E402
    grabcut,
    grabcut_from,
    grabcut_guided,
    keep_central,
    reduced,
)
from research.proof.graphcut import colour_affinity, colour_mask, graph_mask, seeded_mask, walk  # noqa: E402
from research.proof.pseudo_masks import judge, make, repeats, teacher  # noqa: E402
from research.proof.selftrain import refined, student_way  # noqa: E402
from tests.discs import disc, write  # noqa: E402

pytestmark = pytest.mark.learn
torch.set_num_threads(1)

MARGINS = (0.15, 0.1)


def picture(x: float = 0.5, height: int = 120, width: int = 100) -> tuple[Image, Mask]:
    """A red ellipse centred at `x` of the width, before a blue, noisy wall."""
    rows, columns = np.mgrid[:height, :width]
    mask = ((rows / height - 0.5) / 0.32) ** 2 + ((columns / width - x) / 0.25) ** 2 < 1
    image = np.where(mask[..., None], (200, 60, 50), (50, 80, 150))
    image = image + np.random.default_rng(0).normal(0, 12, image.shape)
    return image.clip(0, 255).astype(np.uint8), mask


def keys_of(mask: Mask, cells: int) -> np.ndarray:
    """Keys of a ViT that tells the object from the rest."""
    small = cv2.resize(mask.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    inside = (small > 0.5).reshape(-1, 1)
    noise = np.random.default_rng(1).normal(0, 0.05, (cells * cells, 8))
    return (np.where(inside, np.eye(8)[0], np.eye(8)[1]) + noise).astype(np.float32)


def test_a_rectangle_is_what_opencv_makes_of_it() -> None:
    image, wanted = picture()
    small = reduced(image)
    rows, columns = small.shape[:2]
    x, y = round(columns * MARGINS[0]), round(rows * MARGINS[1])
    labels = np.zeros((rows, columns), np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(small[..., ::-1]), labels, (x, y, columns - 2 * x, rows - 2 * y),
        np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT,
    )  # fmt: skip
    theirs = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    assert iou(grabcut(image, MARGINS), theirs) > 0.98  # ours drops crumbs
    assert iou(grabcut(image, MARGINS), wanted) > 0.95


@pytest.mark.parametrize("x", [0.2, 0.5, 0.8])
def test_colour_needs_no_centre(x: float) -> None:
    image, wanted = picture(x)
    assert iou(colour_mask(image), wanted) > 0.8


def test_the_colour_graph() -> None:
    image, _ = picture()
    weights = colour_affinity(image, 8)
    assert weights.shape == (64, 64)
    assert np.allclose(weights, weights.T)
    assert np.allclose(np.diag(weights), 1)
    middle, beside, corner = 8 * 4 + 4, 8 * 4 + 3, 0
    assert weights[middle, beside] > 10 * weights[middle, corner]


def test_keys_add_what_colour_does_not_tell() -> None:
    image, wanted = picture()
    noise = np.random.default_rng(0).integers(0, 255, image.shape, dtype=np.uint8)
    found = graph_mask(noise, keys_of(wanted, 16), 16)
    assert iou(found, wanted) > 0.8
    assert iou(colour_mask(noise), wanted) < 0.5


def test_a_walk_meets_what_is_near_in_the_graph() -> None:
    image, wanted = picture()
    met = walk(colour_affinity(image, 16), 16)
    assert met.min() >= -1e-9
    assert met.max() <= 1 + 1e-9
    assert iou(seeded_mask(image, None, 16), wanted) > 0.8
    noise = np.random.default_rng(0).integers(0, 255, image.shape, dtype=np.uint8)
    assert iou(seeded_mask(noise, keys_of(wanted, 16), 16), wanted) > 0.8


def test_a_coarse_mask_is_moved_to_the_edges() -> None:
    image, wanted = picture(0.25)
    coarse = cv2.resize(
        cv2.resize(wanted.astype(np.float32), (6, 6), interpolation=cv2.INTER_AREA), (100, 120)
    )
    before = coarse > 0.5
    for how in ("grabcut", "guided"):
        after = refined(lambda _: before, how)(image)
        assert iou(after, wanted) > iou(before, wanted) + 0.02, how
    assert iou(grabcut_from(image, before), wanted) > 0.95
    assert np.array_equal(refined(lambda _: before, "none")(image), before)
    with pytest.raises(ValueError, match="no refinement"):
        refined(lambda _: before, "magic")


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_without_an_edge_stays(value: bool) -> None:
    image, wanted = picture()
    coarse = np.full(wanted.shape, value)
    assert np.array_equal(grabcut_from(image, coarse), coarse)
    assert iou(grabcut_guided(image, coarse, MARGINS), wanted) > 0.9  # as without one


@pytest.mark.parametrize("way", ["tokencut", "graph", "seeded", "combined"])
def test_ways_that_look_with_a_vit(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, wanted = picture()
    vit = ViT(Shape(width=12, depth=1, heads=3, patch=16, grid=4)).eval()
    monkeypatch.setattr(teaching, "keys", lambda _vit, _image, cells: keys_of(wanted, cells))
    found = teacher(way, MARGINS, vit)(image)
    assert iou(found, wanted) > 0.85


def test_keys_come_row_by_row() -> None:
    vit = ViT(Shape(width=12, depth=1, heads=3, patch=8, grid=4)).eval()
    assert teaching.keys(vit, picture()[0], 5).shape == (25, 12)


def test_a_way_that_cannot_be_gone() -> None:
    with pytest.raises(ValueError, match="needs --backbone"):
        teacher("graph", MARGINS)
    with pytest.raises(ValueError, match="no way"):
        teacher("dowsing", MARGINS)


def test_a_student_teaches_only_what_it_is_sure_of() -> None:
    image, wanted = picture()

    class Student:
        version = "test"
        confidence = 0.9

        def __call__(self, image: Image) -> Segmentation:
            probability = wanted.astype(np.float32)
            return Segmentation(probability, wanted, self.confidence, np.zeros(1, np.float32))

    student = Student()
    assert np.array_equal(student_way(student)(image), wanted)
    student.confidence = 0.5
    assert not student_way(student)(image).any()


def test_without_judging_only_empty_masks_go(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        Pil.fromarray(picture()[0]).save(tmp_path / "photos" / f"{name}.jpg")

    answers = iter([np.ones((120, 100), bool), np.zeros((120, 100), bool)])
    counts = make(
        tmp_path / "photos", tmp_path / "out", lambda _: next(answers), None, judged=False
    )
    assert counts == {"photos": 2, "repeats": 0, "rejected": 1, "kept": 1}
    assert [path.stem for path in (tmp_path / "out").glob("*.png")] == ["a"]


@pytest.mark.slow
def test_ways_are_chosen_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    image, wanted = picture()
    Pil.fromarray(image).save(tmp_path / "photos" / "a.jpg", quality=95)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "research.proof.pseudo_masks",
             "--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert run("--way", "colour", "--refine", "grabcut").returncode == 0
    with Pil.open(tmp_path / "out" / "a.png") as mask:
        assert iou(np.asarray(mask) > 0, wanted) > 0.9
    missing = run("--way", "tokencut")
    assert missing.returncode == 1
    assert missing.stderr.strip() == "error: tokencut needs --backbone: it cuts by what a ViT sees"


def test_grabcut_finds_the_disc() -> None:
    sample = disc()
    assert iou(grabcut(sample.image, (0.15, 0.15)), sample.mask) > 0.9


def test_only_large_central_parts_stay() -> None:
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    mask[5:9, 30:34] = True  # central but small
    mask[20:40, 52:60] = True  # large but at the side
    mask[28:32, 28:32] = False  # a hole
    kept = keep_central(mask)
    assert kept[28:32, 28:32].all()
    assert not kept[5:9, 30:34].any()
    assert not kept[:, 52:].any()
    assert not keep_central(np.zeros((9, 9), bool)).any()


def test_unbelievable_masks_are_rejected() -> None:
    masks = {f"good{i:02}": disc(i).mask for i in range(20)}
    masks["tiny"] = np.zeros((120, 120), bool)
    masks["whole"] = np.ones((120, 120), bool)
    masks["odd"] = np.roll(disc().mask, 50, axis=0)
    rejected = judge(masks)
    assert set(rejected) >= {"tiny", "whole", "odd"}
    assert "area" in rejected["tiny"]
    assert "unlike" in rejected["odd"]


def test_making_masks_skips_known_shots(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    textured = []
    for seed in range(4):
        coarse = rng.integers(0, 60, (12, 12, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
        sample = disc(seed)
        image = np.where(sample.mask[..., None], sample.image, coarse)
        textured.append(Sample(image.astype(np.uint8), sample.mask))
    write(tmp_path / "photos", textured)
    write(tmp_path / "known", textured[:1])
    paths = sorted((tmp_path / "photos").glob("*.jpg"))
    assert repeats(paths, [tmp_path / "known" / "00.jpg"]) == {"00"}
    way = partial(grabcut, margins=(0.15, 0.15))
    counts = make(tmp_path / "photos", tmp_path / "masks", way, tmp_path / "known")
    assert counts == {"photos": 4, "repeats": 1, "rejected": 0, "kept": 3}
    assert not (tmp_path / "masks" / "00.png").exists()
    loaded = build_pool([(tmp_path / "photos", tmp_path / "masks", 2.0)])
    assert len(loaded.sets[0]) == 3
    assert iou(loaded.sets[0][0].mask, textured[1].mask) > 0.9
