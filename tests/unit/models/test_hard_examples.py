"""Object, background and light of a picture, apart; and which pictures are like a failure."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.base import Image, Mask
from models.segment.aspects import background_view, light, object_view
from models.segment.hard_examples import ASPECTS, BACKGROUND, LIGHT, OBJECT, nearest, similarities


def scene(inside: tuple[int, int, int], around: tuple[int, int, int]) -> tuple[Image, Mask]:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    image: Image = np.where(mask[..., None], inside, around).astype(np.uint8)
    return image, mask


def test_the_object_alone_shows_nothing_of_the_background() -> None:
    first = object_view(*scene((200, 30, 30), (10, 200, 10)))
    second = object_view(*scene((200, 30, 30), (10, 10, 220)))
    assert np.array_equal(first, second)
    assert first.shape == (24, 36, 3)


def test_the_background_alone_shows_nothing_of_the_object() -> None:
    first = background_view(*scene((200, 30, 30), (10, 200, 10)))
    second = background_view(*scene((20, 30, 230), (10, 200, 10)))
    assert np.abs(first.astype(int) - second).max() <= 2
    assert np.abs(first.astype(int) - (10, 200, 10)).max() <= 3


def test_views_without_an_object_and_of_nothing_else() -> None:
    image, mask = scene((200, 30, 30), (10, 200, 10))
    assert np.array_equal(object_view(image, np.zeros_like(mask)), image)
    assert np.array_equal(background_view(image, np.zeros_like(mask)), image)
    assert np.ptp(background_view(image, np.ones_like(mask))) == 0


def test_light_tells_bright_from_dark_and_where_it_comes_from() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 80)[None, :, None], (60, 80, 3)).astype(np.uint8)
    bright, dark = np.full((60, 80, 3), 240, np.uint8), np.full((60, 80, 3), 10, np.uint8)
    assert light(bright)[0] > 0.9 > 0.1 > light(dark)[0]
    assert light(bright)[3] == 1 and light(dark)[2] == 1
    assert light(ramp)[8] > 0.9 and light(ramp[:, ::-1])[8] < 0.1
    assert light(ramp)[9] == pytest.approx(0.5, abs=0.01)
    warm = light(np.full((9, 9, 3), (200, 120, 60), np.uint8))
    assert warm[5] > 0.5 and warm[6] > 0.5


def collection(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """One failure; picture 0 has its object, 1 its background, 2 its light, 3 is a copy of it."""
    rng = np.random.default_rng(seed)
    pictures = {aspect: rng.normal(size=(30, 12)).astype(np.float32) for aspect in ASPECTS}
    failures = {aspect: rng.normal(size=(1, 12)).astype(np.float32) for aspect in ASPECTS}
    for place, aspect in enumerate(ASPECTS):
        pictures[aspect][place] = failures[aspect][0] + rng.normal(size=12) * 0.05
        pictures[aspect][3] = failures[aspect][0]
    return failures, pictures


@pytest.mark.parametrize(("aspect", "first"), [(OBJECT, 0), (BACKGROUND, 1), (LIGHT, 2)])
def test_each_weight_alone_finds_its_own(aspect: str, first: int) -> None:
    alike = similarities(*collection())
    found = nearest(alike, {name: float(name == aspect) for name in ASPECTS}, 1)
    assert [one.picture for one in found] == [first]
    assert found[0].aspects[aspect] > 0.8


def test_copies_of_a_failure_are_left_out_and_all_weights_count() -> None:
    alike = similarities(*collection())
    found = nearest(alike, {OBJECT: 1.0, BACKGROUND: 1.0, LIGHT: 1.0}, 30)
    assert 3 not in [one.picture for one in found]
    assert len(found) == 29
    assert {one.picture for one in found[:3]} == {0, 1, 2}
    assert all(a.score >= b.score for a, b in itertools.pairwise(found))


def test_weights_that_say_nothing() -> None:
    alike = similarities(*collection())
    for weights in (
        {OBJECT: 0.0, BACKGROUND: 0.0, LIGHT: 0.0},
        {OBJECT: -1.0, BACKGROUND: 2.0, LIGHT: 0.0},
    ):
        with pytest.raises(ValueError, match="weights"):
            nearest(alike, weights, 1)
