"""The decoder alone, taught on stored lessons (needs torch)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("onnx", reason="needs the [learn] extra (onnx)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

from models.dino.vit import Shape  # noqa: E402
from models.segment.network import SegmentNet  # noqa: E402
from models.student import decoder  # noqa: E402
from models.student import stored as storing  # noqa: E402
from models.student.decoder import DecoderRecipe, order  # noqa: E402
from models.student.samples import Lesson, PhotoPool  # noqa: E402
from models.student.stored import StoredLessons, store  # noqa: E402

torch.set_num_threads(1)
pytestmark = pytest.mark.learn
SIDE = 56


def pool() -> PhotoPool:
    """Discs on something dark, as masks of 0 and 255."""
    rows, columns = np.mgrid[:96, :128]
    lessons = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        disc = (rows - rng.integers(40, 56)) ** 2 + (columns - 64) ** 2 < 26**2
        image = np.where(disc[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3))
        lessons.append(Lesson(image.astype(np.uint8), disc.astype(np.uint8) * 255))
    return PhotoPool(lessons, np.empty((6, 0), np.float32), list(range(6)), [])


def small() -> SegmentNet:
    torch.manual_seed(0)
    return SegmentNet(Shape(width=64, depth=2, heads=1, patch=14, grid=4), 24, light=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredLessons:
    return store(pool(), small(), tmp_path_factory.mktemp("stored"), 40, SIDE)


def test_stored_lessons_are_what_the_network_sees(stored: StoredLessons) -> None:
    images, masks, sure, tokens = decoder.lesson(stored, np.array([3, 17]))
    assert images.shape == (2, 3, SIDE, SIDE)
    assert masks.shape == (2, 1, SIDE, SIDE)
    assert 0 <= images.min() < images.max() <= 1
    assert stored.masks.max() == 255
    assert sure.tolist() == [1, 1]
    network = small().eval()
    with torch.no_grad():
        whole, read = network(images)[0], network.read(images, tokens)[0]
    torch.testing.assert_close(whole, read, atol=0.02, rtol=0.01)


def test_storing_goes_on_where_it_was_killed(
    stored: StoredLessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(held: PhotoPool, rng: np.random.Generator, side: int) -> object:
        if (tmp_path / "done.json").exists() and json.loads(
            (tmp_path / "done.json").read_text()
        ) == 16:
            raise KeyboardInterrupt
        return drawn(held, rng, side)

    drawn = storing.draw
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(storing, "draw", draw)
        store(pool(), small(), tmp_path, 40, SIDE)
    again = store(pool(), small(), tmp_path, 40, SIDE)
    for name in StoredLessons.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(stored, name), err_msg=name)


def test_every_lesson_is_seen_before_any_is_seen_again() -> None:
    recipe = DecoderRecipe(batch=4)
    first, second = (
        np.concatenate([order(recipe, 12, step) for step in steps]).tolist()
        for steps in (range(3), range(3, 6))
    )
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_the_decoder_learns_and_all_else_stays(stored: StoredLessons, tmp_path: Path) -> None:
    recipe = DecoderRecipe(steps=30, batch=8, side=SIDE, warmup=2, momentum=0.9)
    before = dict(small().named_parameters())
    after = decoder.train(stored, recipe, small(), tmp_path)
    for name, value in after.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith(("vit.", "project.")), name
    steps = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps[-1]["mask"] < 0.8 * steps[0]["mask"]


def test_a_killed_training_ends_as_a_whole_one(
    stored: StoredLessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = DecoderRecipe(steps=60, batch=4, side=SIDE, warmup=1)
    whole = decoder.train(stored, recipe, small(), tmp_path / "whole")
    taught = decoder._learn
    steps = iter(range(100))

    def killed(*given: object) -> dict[str, float]:
        if next(steps) == 53:
            raise KeyboardInterrupt
        return taught(*given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoder, "_learn", killed)
        decoder.train(stored, recipe, small(), tmp_path / "part")
    resumed = decoder.train(stored, recipe, small(), tmp_path / "part")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_too_few_lessons_are_refused(stored: StoredLessons, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 lessons are no batch of 64"):
        decoder.train(stored, DecoderRecipe(batch=64, side=SIDE), small(), tmp_path)
