"""Measurements and duplicates on pictures that exist, and on pictures nobody takes."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pil
from PIL import ImageFilter
from skimage import data as photos

from bench import curation as made
from models.quality.duplicate import SAME, SIDE, similarity, thumbnail
from models.quality.index import HashIndex
from models.quality.measure import measure
from models.quality.phash import NEAR, distances, phash

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photo(name: str = "astronaut") -> Pil.Image:
    return Pil.fromarray(getattr(photos, name)())


def alike(one: Pil.Image, other: Pil.Image) -> tuple[int, float]:
    """Bits that differ, and similarity."""
    first, second = measure(np.asarray(one)), measure(np.asarray(other))
    bits = int(distances(first.phash, np.array([second.phash]))[0])
    return bits, float(similarity([first.thumbnail], [second.thumbnail])[0])


@pytest.mark.parametrize("change", made.CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_changed_photo_is_a_duplicate(name: str, change: str) -> None:
    bits, much = alike(photo(name), made.CHANGES[change](photo(name), random.Random(5)))
    assert bits <= NEAR and much >= SAME


def test_another_shot_and_another_photo_are_none() -> None:
    dice = random.Random(2)
    for name in NAMES:
        shot = made.another_shot(photo(name), dice)
        assert alike(photo(name), shot)[1] < SAME
        for other in NAMES:
            assert other == name or alike(photo(name), photo(other))[1] < SAME


def test_the_order_of_two_pictures_does_not_matter() -> None:
    thumbnails = [measure(np.asarray(photo(name))).thumbnail for name in NAMES[:2]]
    thumbnails.append(measure(np.asarray(made.cropped(photo(), random.Random(1)))).thumbnail)
    pairs = [(a, b) for a in thumbnails for b in thumbnails]
    there = similarity([a for a, _ in pairs], [b for _, b in pairs])
    back = similarity([b for _, b in pairs], [a for a, _ in pairs])
    assert (there == back).all() and (there.reshape(3, 3).diagonal() == 1).all()
    assert similarity([], []).shape == (0,)
    with pytest.raises(ValueError, match="argument"):
        similarity(thumbnails, [])


def test_blur_lowers_sharpness_and_a_blurred_ground_does_not() -> None:
    sharp = photo("coffee").resize((1080, 720))
    soft = sharp.filter(ImageFilter.GaussianBlur(10))
    ground = soft.copy()
    ground.paste(sharp.crop((300, 200, 800, 600)), (300, 200))
    score = [measure(np.asarray(i)).scores["sharpness"] for i in (sharp, ground, soft)]
    assert score[2] < 60 < score[1]
    assert score[1] > 0.3 * score[0]


def test_the_size_of_a_photo_changes_its_size_only() -> None:
    large = measure(np.asarray(photo().resize((2400, 2400), Pil.Resampling.BICUBIC))).scores
    usual = measure(np.asarray(photo())).scores
    assert (large["side"], usual["side"]) == (2400, 512)
    for name in ("brightness", "information", "aspect"):
        assert large[name] == pytest.approx(usual[name], rel=0.02)


def test_a_page_of_text_is_like_a_screenshot_and_a_photo_is_not() -> None:
    page = np.full((800, 400, 3), 255, np.uint8)
    page[:60] = 230
    for row in range(90, 760, 24):
        for column in range(20, 360, 9):
            page[row : row + 12, column : column + 5] = 20
    assert measure(page).scores["screenshot"] > 0.42
    for name in NAMES:
        assert measure(np.asarray(photo(name).convert("RGB"))).scores["screenshot"] < 0.42


@settings(max_examples=60)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(("black", "white", "noise", "ramp", "dot")),
    st.integers(1, 9),
)
def test_any_picture_is_measured(height: int, width: int, kind: str, frames: int) -> None:
    pixels = np.full((height, width, 3), 255 if kind == "white" else 0, np.uint8)
    if kind == "noise":
        pixels = np.random.default_rng(height).integers(0, 256, pixels.shape).astype(np.uint8)
    if kind == "ramp":
        pixels[:] = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
    if kind == "dot":
        pixels[0, 0] = 255
    found = measure(pixels, frames)
    scores = found.scores
    assert all(np.isfinite(value) for value in scores.values())
    assert scores["side"] == min(height, width) and scores["frames"] == frames
    assert scores["aspect"] >= 1 and 0 <= scores["brightness"] <= 1
    assert 0 <= scores["information"] <= 8 and 0 <= scores["screenshot"] <= 1
    assert -(2**63) <= found.phash < 2**63 and len(found.thumbnail) == SIDE**2
    assert 0 <= similarity([found.thumbnail], [bytes(SIDE**2)])[0] <= 1


def test_a_very_long_picture_is_measured() -> None:
    for shape in ((1, 10_000, 3), (10_000, 1, 3), (16, 9_000, 3)):
        scores = measure(np.zeros(shape, np.uint8)).scores
        assert scores["aspect"] == max(shape[:2]) / min(shape[:2])
        assert scores["sharpness"] == scores["information"] == 0


def test_flat_pictures_are_the_same_only_in_the_same_shade() -> None:
    shades = [thumbnail(np.full((50, 50), grey, np.uint8)) for grey in (20, 22, 90)]
    found = similarity([shades[0]] * 2, shades[1:])
    assert found.tolist() == [1, 0]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2))
def test_distance_is_the_number_of_bits(pair: list[int]) -> None:
    expected = ((pair[0] ^ pair[1]) & (2**64 - 1)).bit_count()
    assert distances(pair[0], np.array(pair[1:], np.int64)).tolist() == [expected]


def test_the_index_finds_the_nearest_first() -> None:
    index = HashIndex()
    index.put([], [])
    assert index.near(0, 5) == []
    index.put([5, 6, 7], [0b1, -1, 0b111])
    index.put([8, 6], [0, 0b11])  # 6 anew
    assert len(index) == 4
    assert index.near(0, 9, within=2) == [8, 5, 6]
    assert index.near(0, 2, within=64) == [8, 5]


def test_the_hash_survives_a_recompression() -> None:
    out = io.BytesIO()
    photo().save(out, "JPEG", quality=20)
    small = Pil.open(out).convert("L").resize((200, 200))
    before = phash(np.asarray(photo().convert("L")))
    assert distances(before, np.array([phash(np.asarray(small))]))[0] <= 6
