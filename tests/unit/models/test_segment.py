"""Finding the main object with the shipped network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.base import Image, Mask
from models.images.guided import stretch
from models.metrics.labelled import Labelled, background, canvas, push_to_border
from models.metrics.masks import iou
from models.segment.guided import refine
from models.serving.packs import load_segmenter
from models.serving.runtime import Runtime

RUNTIME = Runtime(threads=1)
SEGMENTER = load_segmenter("embedded", RUNTIME)


def figure(height: int = 320, width: int = 240, x: float = 0.5) -> tuple[Image, Mask]:
    """Something like a clothed person before a plain wall, centred at `x` of the width."""
    rows, columns = np.mgrid[:height, :width]
    u, v = (columns / width - x) * 0.75, rows / height
    head = (u / 0.07) ** 2 + ((v - 0.17) / 0.075) ** 2 < 1
    trunk = (np.abs(u) < 0.15) & (v > 0.24) & (v < 0.6)
    legs = (np.abs(u) > 0.02) & (np.abs(u) < 0.12) & (v >= 0.6) & (v < 0.92)
    rng = np.random.default_rng(3)
    image = np.empty((height, width, 3))
    image[:] = np.array([196, 200, 204]) - 25 * v[..., None]
    image[head], image[trunk], image[legs] = (205, 160, 130), (150, 25, 35), (30, 35, 70)
    image += rng.normal(0, 4, (height, width, 1))
    return image.clip(0, 255).astype(np.uint8), head | trunk | legs


def test_finds_a_figure() -> None:
    image, wanted = figure()
    found = SEGMENTER(image)
    assert iou(found.mask, wanted) > 0.7
    assert found.confidence > 0.7


@pytest.mark.parametrize("x", [0.25, 0.75])
def test_finds_a_figure_off_centre(x: float) -> None:
    image, wanted = figure(320, 400, x)
    assert iou(SEGMENTER(image).mask, wanted) > 0.6


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (120, 130, 140), (200, 30, 40)])
def test_a_flat_picture_has_no_object(colour: tuple[int, int, int]) -> None:
    found = SEGMENTER(np.full((200, 300, 3), colour, np.uint8))
    assert not found.mask.any()


def test_a_gradient_has_no_object() -> None:
    ramp = np.linspace(40, 220, 300)[None, :, None] * np.ones((200, 1, 3)) * (1, 0.9, 0.8)
    assert not SEGMENTER(ramp.astype(np.uint8)).mask.any()


def test_what_comes_out() -> None:
    image, _ = figure(301, 199)
    image.flags.writeable = False
    found = SEGMENTER(image)
    assert found.probability.shape == found.mask.shape == (301, 199)
    assert (found.probability.dtype, found.mask.dtype) == (np.float32, np.bool_)
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    assert found.embedding.dtype == np.float32
    assert float(np.linalg.norm(found.embedding)) == pytest.approx(1, abs=1e-4)
    again = SEGMENTER(image)
    assert np.array_equal(found.probability, again.probability)
    assert np.array_equal(found.embedding, again.embedding)


def test_embeddings_tell_pictures_apart() -> None:
    one, other = figure(x=0.5)[0], figure(x=0.45)[0]
    noise = np.random.default_rng(0).integers(0, 256, one.shape, dtype=np.uint8)
    first, second, third = (SEGMENTER(image).embedding for image in (one, other, noise))
    assert first @ second > first @ third


@settings(max_examples=30)
@given(height=st.integers(1, 400), width=st.integers(1, 400), seed=st.integers(0, 9))
def test_any_size(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = SEGMENTER(image)
    assert found.probability.shape == found.mask.shape == (height, width)
    assert np.isfinite(found.probability).all()
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 4), (0, 5, 3)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        SEGMENTER(np.zeros(shape, np.uint8))


def test_the_guided_filter_follows_edges() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    coarse = np.zeros((8, 8), np.float32)
    coarse[:, 4:] = 1
    refined, plain = refine(coarse, image), stretch(coarse, (64, 64))
    assert plain[32, 32] - plain[32, 31] < 0.2  # a soft ramp, eight pixels wide
    assert refined[32, 32] - refined[32, 31] > 0.5


def test_iou_by_hand() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(a, b) == 1
    a[:2], b[1:3] = True, True
    assert iou(a, b) == pytest.approx(4 / 12)
    assert iou(a, ~a) == 0


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_pushed_to_the_border(side: str) -> None:
    image, mask = figure()
    item = push_to_border(Labelled("x", image, mask), side)
    assert item is not None
    edge = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0], "bottom": np.s_[-1]}
    assert item.mask[edge[side]].any()
    assert item.image.shape[:2] == item.mask.shape
    assert 0.4 < item.mask.sum() / mask.sum() < 0.6


def test_canvas_and_background_keep_the_truth() -> None:
    image, mask = figure()
    larger = canvas(Labelled("x", image, mask), np.random.default_rng(0))
    assert larger.mask.sum() == mask.sum()
    assert larger.mask.size == 2 * mask.size
    assert larger.image.shape == (*larger.mask.shape, 3)
    empty = background(Labelled("x", image, mask))
    assert empty is not None
    assert not empty.mask.any()
    assert empty.image.shape[1] < image.shape[1] / 2


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (250, 128, 3)])
def test_the_guided_filter_keeps_what_a_flat_picture_cannot_sharpen(
    colour: tuple[int, int, int],
) -> None:
    image = np.full((90, 120, 3), colour, np.uint8)
    coarse = np.zeros((9, 12), np.float32)
    coarse[3:6, 4:8] = 1
    refined = refine(coarse, image)
    assert np.isfinite(refined).all()
    assert refined[45, 60] > 0.7
    assert refined[5, 5] < 0.05


def test_the_guided_filter_stays_finite_on_a_grey_picture() -> None:
    """Its three channels are one: single precision divided by zero here."""
    rng = np.random.default_rng(2)
    grey = np.repeat(rng.integers(0, 256, (240, 320, 1), dtype=np.uint8), 3, axis=2)
    coarse = np.zeros((24, 32), np.float32)
    coarse[8:16, 8:20] = 1
    refined = refine(coarse, grey)
    assert np.isfinite(refined).all()
    assert np.abs(refined - stretch(coarse, (320, 240))).mean() < 0.2
