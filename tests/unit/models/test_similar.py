"""Masks from points and boxes, by what looks like them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from models.base import Image, Mask, Prompt
from models.metrics.masks import iou
from models.segment.patches import Patches, PatchReader, features_of
from models.segment.similar import similar
from models.serving.packs import embedded_weights, load_segmenter
from models.serving.runtime import Runtime, open_session
from tests.unit.models.test_segment import figure

RUNTIME = Runtime(threads=1)
READER = PatchReader(embedded_weights("segment"), RUNTIME)
GRID, SIDE = 16, 160
LEFT, RIGHT = (slice(40, 120), slice(10, 60)), (slice(40, 120), slice(100, 150))


def scene(own: tuple[slice, slice] | None = None) -> tuple[Patches, Image]:
    """Two things of different colours on grey; the network itself finds one, or nothing."""
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    image[LEFT], image[RIGHT] = (200, 40, 40), (40, 60, 200)
    tokens = np.zeros((SIDE, SIDE, 8), np.float32)
    tokens[..., 0] = 1
    tokens[LEFT], tokens[RIGHT] = np.eye(8)[1], np.eye(8)[2]
    small = tokens[5::10, 5::10].reshape(GRID * GRID, 8)
    found = np.zeros((SIDE, SIDE), np.float32)
    if own is not None:
        found[own] = 0.95
    return Patches(features_of(small), found), image


def thing(*places: tuple[slice, slice]) -> Mask:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize("own", [None, LEFT, RIGHT])
def test_a_point_shows_its_object_whatever_the_network_finds(
    own: tuple[slice, slice] | None,
) -> None:
    patches, image = scene(own)
    for point, place in (((35, 80), LEFT), ((125, 80), RIGHT)):
        assert iou(similar(patches, image, Prompt((point,))), thing(place)) > 0.8


def test_a_second_point_adds_and_a_point_beside_it_takes_away() -> None:
    patches, image = scene(LEFT)
    both = similar(patches, image, Prompt(((35, 80), (125, 80))))
    assert iou(both, thing(LEFT, RIGHT)) > 0.8
    one = similar(patches, image, Prompt(((35, 80),), None, ((125, 80),)))
    assert iou(one, thing(LEFT)) > 0.8 and not one[RIGHT].any()


def test_nothing_lies_outside_of_the_box() -> None:
    patches, image = scene()
    found = similar(patches, image, Prompt((), (95, 35, 155, 125)))
    assert iou(found, thing(RIGHT)) > 0.8
    cut = similar(patches, image, Prompt((), (95, 35, 155, 80)))
    assert cut.any() and not cut[80:].any() and not cut[:, :95].any()


def test_prompts_that_say_nothing() -> None:
    patches, image = scene()
    for prompt in (Prompt(), Prompt((), None, ((5, 5),)), Prompt(((160, 5),))):
        with pytest.raises(ValueError, match=r"needs|outside"):
            similar(patches, image, prompt)


def test_features_are_of_length_one_and_a_flat_picture_has_some() -> None:
    tokens: NDArray[np.float32] = np.ones((GRID * GRID, 8), np.float32)
    assert not features_of(tokens).any()
    found = similar(Patches(features_of(tokens), np.zeros((9, 9), np.float32)), scene()[1],
                    Prompt(((5, 5),)))  # fmt: skip
    assert found.shape == (SIDE, SIDE)
    assert np.linalg.norm(scene()[0].features, axis=2) == pytest.approx(1, abs=1e-5)


def test_the_shipped_network_gives_its_tokens_and_the_same_mask() -> None:
    image, wanted = figure()
    patches = READER(image)
    weights = embedded_weights("segment")
    side = int(weights.facts["side"])
    assert patches.features.shape[:2] == (side // 14, side // 14)
    session = open_session(weights.path, 1)
    square = np.zeros((1, 3, side, side), np.float32)
    assert len(session.run(None, {"image": square})) == 2  # the file itself is as it was
    found = load_segmenter("embedded", RUNTIME)(image)
    again = similar(patches, image, Prompt(((120, 130),)))
    assert iou(found.mask, wanted) > 0.7 and iou(again, wanted) > 0.6  # it leaves out the legs


def test_the_next_points_cost_less_than_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures are printed and not judged: a busy machine must not fail a test."""
    image, _ = figure(1024, 768)
    begun = time.perf_counter()
    patches = READER(image)
    similar(patches, image, Prompt(((380, 400),)))
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    similar(patches, image, Prompt(((380, 400), (300, 700))))
    after = time.perf_counter() - begun
    with capsys.disabled():
        print(f"\nfirst suggestion {1000 * first:.0f} ms, the next {1000 * after:.0f} ms")
