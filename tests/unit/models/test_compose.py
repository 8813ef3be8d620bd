"""Every style: right shape, same bytes for the same arguments, and a hand only where it belongs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from models.base import Composer, Image, Mask
from models.compose import styles as style_package
from models.compose.alt import alt_text
from models.compose.badge import badge
from models.compose.palette import colour_name, hue, oklch
from models.compose.styles import WITHOUT_MASK, composer, outline, styles

STYLES = styles()
VERSIONS = [
    "tint/1.1", "outline/1.1", "sticker/1.1", "spotlight/1.1", "pattern/1.1", "facets/1.1",
    "pop/1.1", "grade/1",
]  # fmt: skip
WITH_MASK = [name for name in STYLES if composer(name).needs_mask]
LEAVES_SURROUNDINGS = ["tint", "pattern", "facets"]  # they change the object only
LEAVES_OBJECT = ["sticker"]  # and this one only what is around it


def photo(width: int = 216, height: int = 270) -> Image:
    """Something with light, colour and grain."""
    rng = np.random.default_rng(3)
    coarse = PIL.Image.fromarray(rng.integers(20, 236, (5, 4, 3), dtype=np.uint8))
    smooth = np.array(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC), dtype=np.int16)
    return (smooth + rng.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)


def disc(width: int = 216, height: int = 270, share: float = 0.3) -> Mask:
    y, x = np.mgrid[:height, :width]
    return np.hypot(x - width / 2, y - height / 2) < share * min(width, height)


def changed(before: Image, after: Image) -> Mask:
    return np.abs(before.astype(int) - after).max(axis=2) > 2


def outside(mask: Mask, distance: float) -> Mask:
    return ndimage.distance_transform_edt(~mask) > distance


def inside(mask: Mask, distance: float) -> Mask:
    return ndimage.distance_transform_edt(mask) > distance


def test_there_are_enough_styles_and_one_for_images_without_an_object() -> None:
    assert len(WITH_MASK) >= 6
    assert {"tint", "outline", "sticker", "spotlight", "pattern"} <= set(WITH_MASK)
    assert [name for name in STYLES if not composer(name).needs_mask] == [WITHOUT_MASK]


def test_a_style_is_one_file_and_one_registration() -> None:
    """A file with a STYLE that nobody can choose, or a name without one, is a mistake."""
    folder = Path(style_package.__file__).parent
    defined = {path.stem for path in folder.glob("*.py") if "\nSTYLE = " in path.read_text()}
    assert defined == set(STYLES)
    for path in [
        *folder.glob("*.py"),
        *folder.parent.glob("*.py"),
    ]:  # and nothing else knows a style by its name
        if path.stem not in {*STYLES, "__init__"}:
            assert not [name for name in STYLES if f'"{name}"' in path.read_text()], path


def test_the_versions_of_the_styles_are_those_of_stored_pictures() -> None:
    """Computed pictures are kept by them: a new one composes all of them anew."""
    assert [composer(name).version for name in STYLES] == VERSIONS


@pytest.mark.parametrize("name", STYLES)
def test_a_style_keeps_to_the_protocol(name: str) -> None:
    made: Composer = composer(name)
    assert made.style == name
    assert made.version.startswith(f"{name}/")
    before, mask = photo(), disc()
    kept, kept_mask = before.copy(), mask.copy()
    after = made(before, mask, seed=5)
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert not np.shares_memory(after, before)
    np.testing.assert_array_equal(before, kept)
    np.testing.assert_array_equal(mask, kept_mask)
    assert changed(before, after).mean() > 0.03


def test_versions_differ() -> None:
    assert len({composer(name).version for name in STYLES}) == len(STYLES)


@pytest.mark.parametrize("name", STYLES)
def test_same_arguments_same_bytes_other_seed_other_picture(name: str) -> None:
    first = composer(name)(photo(), disc(), seed=7)
    np.testing.assert_array_equal(first, composer(name)(photo(), disc(), seed=7))
    assert changed(first, composer(name)(photo(), disc(), seed=8)).mean() > 0.02


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("seed", [0, -1, 2**63 + 11, -(2**70)])
def test_any_whole_number_is_a_seed(name: str, seed: int) -> None:
    assert composer(name)(photo(40, 50), disc(40, 50), seed=seed).shape == (50, 40, 3)


@pytest.mark.parametrize("name", LEAVES_SURROUNDINGS)
def test_the_surroundings_stay(name: str) -> None:
    before, mask = photo(), disc()
    after = composer(name)(before, mask, seed=1)
    far, deep = outside(mask, 4), inside(mask, 4)
    np.testing.assert_array_equal(after[far], before[far])
    assert changed(before, after)[deep].mean() > 0.8


@pytest.mark.parametrize("name", LEAVES_OBJECT)
def test_the_object_stays(name: str) -> None:
    before, mask = photo(), disc()
    after = composer(name)(before, mask, seed=1)
    deep, far = inside(mask, 4), outside(mask, 6)
    np.testing.assert_array_equal(after[deep], before[deep])
    assert changed(before, after)[far].mean() > 0.95


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_outline_leaves_far_pixels_unchanged_and_closes_around_the_object(seed: int) -> None:
    before, mask = photo(), disc()
    after = composer("outline")(before, mask, seed=seed)
    reach = outline.REACH * min(mask.shape) / 1080 + 2
    far = outside(mask, reach) | inside(mask, reach)
    np.testing.assert_array_equal(after[far], before[far])
    # The line separates the centre from the corner: no path around it.
    parts, _ = ndimage.label(~changed(before, after))
    centre, corner = parts[135, 108], parts[0, 0]
    assert centre > 0
    assert corner > 0
    assert centre != corner


def test_sticker_has_a_white_border() -> None:
    mask = disc(540, 675)
    after = composer("sticker")(photo(540, 675), mask, seed=1)
    border = outside(mask, 3) & ~outside(mask, 5)
    assert (after[border].min(axis=1) > 235).mean() > 0.95


def test_the_shadow_of_a_sticker_does_not_come_in_at_the_other_side() -> None:
    image = np.full((270, 216, 3), 128, dtype=np.uint8)
    low = np.zeros((270, 216), dtype=np.bool_)
    low[200:, 60:160] = True  # cut by the lower edge, where the shadow falls out of the image
    for seed in range(6):
        after = composer("sticker")(image, low, seed=seed).astype(int)
        assert after[:4].sum(axis=2).min() > 0.8 * after[20:60].sum(axis=2).min()


def test_spotlight_dims_the_surroundings_and_not_the_object() -> None:
    before, mask = photo(), disc()
    after = composer("spotlight")(before, mask, seed=1)
    far, deep = outside(mask, 40), inside(mask, 4)
    assert after[far].mean() < 0.7 * before[far].mean()
    assert after[far].std() < before[far].std()
    assert after[deep].mean() >= before[deep].mean()


def test_spotlight_does_not_smear_the_object_into_the_blur() -> None:
    image = np.full((270, 216, 3), 90, dtype=np.uint8)
    mask = disc()
    image[mask] = (255, 0, 0)
    after = composer("spotlight")(image, mask, seed=1).astype(int)
    around = outside(mask, 5)
    assert (after[..., 0] - after[..., 1:].max(axis=2))[around].max() < 40


def test_pop_prints_in_few_colours_and_keeps_the_object() -> None:
    before, mask = photo(540, 675), disc(540, 675)
    after = composer("pop")(before, mask, seed=1)
    far, deep = outside(mask, 12), inside(mask, 4)
    assert len(np.unique(after[far] // 32, axis=0)) < 60
    assert np.abs(after[deep].astype(int) - before[deep]).mean() < 25


@pytest.mark.parametrize("name", WITH_MASK)
def test_without_an_object_nothing_changes(name: str) -> None:
    before = photo()
    after = composer(name)(before, np.zeros(before.shape[:2], dtype=np.bool_), seed=1)
    np.testing.assert_array_equal(after, before)


def test_grade_does_not_look_at_the_mask() -> None:
    empty = np.zeros((270, 216), dtype=np.bool_)
    made = composer(WITHOUT_MASK)
    np.testing.assert_array_equal(made(photo(), empty, seed=1), made(photo(), disc(), seed=1))


@pytest.mark.parametrize("name", STYLES)
def test_a_mask_that_covers_everything(name: str) -> None:
    before = photo()
    after = composer(name)(before, np.ones(before.shape[:2], dtype=np.bool_), seed=1)
    assert after.shape == before.shape
    if name == "outline":  # there is no contour to follow
        np.testing.assert_array_equal(after, before)
    if name in LEAVES_SURROUNDINGS:
        assert changed(before, after).mean() > 0.8


@pytest.mark.parametrize("name", STYLES)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=12)
def test_odd_sizes(name: str, width: int, height: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = rng.random((height, width)) < share
    after = composer(name)(image, mask, seed=seed)
    assert after.shape == image.shape
    assert after.dtype == np.uint8


@pytest.mark.parametrize("name", WITH_MASK)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_the_smallest_images(name: str, size: tuple[int, int]) -> None:
    image = photo(*size)
    assert composer(name)(image, np.ones((size[1], size[0]), dtype=np.bool_), seed=1).shape == (
        size[1],
        size[0],
        3,
    )


def test_crumbs_and_pinholes_of_a_mask_do_not_show() -> None:
    before, clean = photo(540, 675), disc(540, 675)
    dirty = clean.copy()
    dirty[20:26, 20:26] = True
    dirty[337:343, 270:276] = False
    made = composer("tint")
    np.testing.assert_array_equal(
        made(before, dirty, seed=1)[:60, :60], made(before, clean, seed=1)[:60, :60]
    )
    assert changed(before, made(before, dirty, seed=1))[337:343, 270:276].mean() > 0.8


def test_edges_are_soft() -> None:
    image = np.full((540, 540, 3), 128, dtype=np.uint8)
    mask = disc(540, 540)
    after = composer("tint")(image, mask, seed=1)
    row = after[270, :270].astype(int).sum(axis=1)
    assert np.abs(np.diff(row)).max() < 0.7 * np.ptp(row)


def test_an_unknown_style_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'outline'"):
        composer("outlines")
    with pytest.raises(ValueError, match=r"known: tint, .*grade"):
        composer("zzzzzz")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.bool_)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.bool_)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.bool_)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)),
    ],
)
def test_wrong_arrays_are_refused(image: Image, mask: Mask) -> None:
    for name in STYLES:
        with pytest.raises(ValueError, match="must be"):
            composer(name)(image, mask, seed=1)


# --- colours ---------------------------------------------------------------------------------


@given(st.integers())
def test_a_hue_is_an_angle_with_a_name(seed: int) -> None:
    assert 0 <= hue(seed) < 360
    assert colour_name(hue(seed)).isalpha()


def test_neighbouring_seeds_have_different_colours() -> None:
    hues = [hue(seed) for seed in range(12)]
    gaps = [abs((a - b + 180) % 360 - 180) for a, b in pairwise(hues)]
    assert min(gaps) > 90


@pytest.mark.parametrize(
    ("colour", "lch"),  # from the definition of OKLCH (B. Ottosson)
    [
        ((255, 0, 0), (0.6280, 0.2577, 29.23)),
        ((0, 0, 255), (0.4520, 0.3132, 264.05)),
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((128, 128, 128), (0.5999, 0.0, 0.0)),
    ],
)
def test_oklch(colour: tuple[int, int, int], lch: tuple[float, float, float]) -> None:
    assert np.abs(np.array(oklch(*lch)) - colour).max() <= 2


@given(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 360))
def test_colours_that_do_not_exist_are_toned_down(
    lightness: float, chroma: float, degrees: float
) -> None:
    assert all(0 <= value <= 255 for value in oklch(lightness, chroma, degrees))


@pytest.mark.parametrize(
    ("degrees", "name"), [(29, "red"), (264, "blue"), (142, "green"), (110, "yellow")]
)
def test_colours_are_called_what_people_call_them(degrees: float, name: str) -> None:
    assert colour_name(degrees) == name


# --- words and label ---------------------------------------------------------------------------


def test_alt_text_says_whose_what_and_by_whom() -> None:
    blue = next(seed for seed in range(100) if colour_name(hue(seed)) == "blue")
    assert alt_text("tint", author="ines", coverage=0.3, seed=blue) == (
        "Photo by @ines with the main object tinted blue; made by a machine"
    )
    assert "small main object" in alt_text("pop", author="@ines", coverage=0.02, seed=1)
    assert "@@" not in alt_text("pop", author="@ines", coverage=0.02, seed=1)


@pytest.mark.parametrize("name", STYLES)
def test_every_style_has_its_words(name: str) -> None:
    words = alt_text(name, author="ines", coverage=0.3, seed=1)
    assert words.startswith("Photo by @ines with ")
    assert words.endswith("; made by a machine")
    assert "{" not in words
    assert len({alt_text(other, author="i", coverage=0.3, seed=1) for other in STYLES}) == len(
        STYLES
    )


def test_alt_text_claims_no_overlay_where_there_is_no_object() -> None:
    assert alt_text("tint", author="ines", coverage=0.0, seed=1) == (
        "Photo by @ines; made by a machine"
    )
    assert "film" in alt_text("grade", author="", coverage=0.0, seed=1)


@pytest.mark.parametrize("size", [(1080, 1350), (320, 320), (1080, 566)])
def test_a_badge_stays_in_its_corner(size: tuple[int, int]) -> None:
    width, height = size
    before = np.full((height, width, 3), 200, dtype=np.uint8)
    after = badge(before, "made by a machine")
    rows, columns = np.nonzero(changed(before, after))
    assert after.shape == before.shape
    assert rows.min() > 0.85 * height
    assert columns.min() > 0.5 * width
    assert rows.max() < height - 1
    assert columns.max() < width - 1
    assert after.max() > 235  # letters, lighter than the picture
    assert after.min() < 110  # on a dark ground


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 500, "صنعته آلة", "line\nbreak", "🌅"])
@pytest.mark.parametrize("size", [(300, 200), (20, 400), (1, 1)])
def test_any_text_and_size_can_be_a_badge(text: str, size: tuple[int, int]) -> None:
    before = photo(*size)
    after = badge(before, text)
    assert after.shape == before.shape
    if not text.strip() or min(size) < 96:
        np.testing.assert_array_equal(after, before)
