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
from models.compose.framing import show, show_mask, window
from models.compose.matte import matte
from models.compose.palette import hue, oklch, palette, unbrowned
from models.compose.styles import DEFAULT, GONE, WITHOUT_MASK, composer, styles

STYLES = styles()
VERSIONS = [
    "echo/1.2.1", "poster/1.2.1", "sticker/2.2.1", "duotone/1.2.1", "spotlight/2.2.1",
    "halftone/1.2.1", "swatches/1",
]  # fmt: skip
WITH_MASK = [name for name in STYLES if composer(name).needs_mask]


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


def test_there_are_styles_with_and_without_an_object() -> None:
    assert [name for name in STYLES if not composer(name).needs_mask] == [WITHOUT_MASK]
    assert DEFAULT in WITH_MASK


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


@pytest.mark.parametrize("name", WITH_MASK)
def test_the_object_keeps_its_colours_and_its_surroundings_change(name: str) -> None:
    """A disc that fills the photo stays where it is in every style."""
    before, mask = photo(), disc(share=0.42)
    after = composer(name)(before, mask, seed=1)
    deep, far = inside(mask, 8), outside(mask, 8)
    assert np.abs(after[deep].astype(int) - before[deep]).mean() < 12
    assert changed(before, after)[far].mean() > 0.8


def test_nothing_of_the_old_surroundings_goes_along() -> None:
    """Green around a grey disc: the edge of the photo is green, that of the cut-out is not."""
    mask = disc(540, 675, 0.42)
    image = np.full((675, 540, 3), 128, dtype=np.uint8)
    image[~mask] = (0, 220, 0)
    blurred = np.stack([ndimage.gaussian_filter(image[..., c], 2.5) for c in range(3)], axis=2)
    found = matte(blurred, mask)
    edge = (found.alpha > 0.25) & (found.alpha < 0.95)
    assert edge.sum() > 500
    before = (blurred[edge][:, 1].astype(int) - blurred[edge][:, 0]).mean()
    after = (found.colours[edge][:, 1].astype(int) - found.colours[edge][:, 0]).mean()
    assert before > 40, "the edge of the photo is green"
    assert after < 0.25 * before, "the edge of the cut-out is not"


def test_a_matte_follows_the_picture_where_the_mask_is_a_little_off() -> None:
    image = np.full((540, 540, 3), 235, dtype=np.uint8)
    true = disc(540, 540, 0.3)
    image[true] = (40, 60, 160)
    mask = disc(540, 540, 0.308)  # four pixels too far out
    found = matte(image, mask)
    assert (mask & ~true).sum() > 2000
    assert ((found.alpha > 0.5) != true).sum() < 0.25 * (mask != true).sum()


def test_a_matte_without_evidence_stays_with_the_mask() -> None:
    """Object and surroundings alike: the contour is the mask's, soft, and without steps."""
    image = np.full((540, 540, 3), 128, dtype=np.uint8)
    mask = disc(540, 540, 0.3)
    found = matte(image, mask)
    assert ((found.alpha > 0.5) != mask).mean() < 0.005
    steps = np.abs(np.diff(found.alpha[270]))
    assert 0.05 < steps.max() < 0.9


def test_thin_things_beside_the_contour_are_kept() -> None:
    """Hairs that a coarse mask cuts off come back, as far as the band reaches."""
    image = np.full((540, 540, 3), 240, dtype=np.uint8)
    mask = disc(540, 540, 0.3)
    image[mask] = (30, 25, 20)
    image[108 - 6 : 120, 268:272] = (30, 25, 20)  # stands six pixels out of the disc
    found = matte(image, mask)
    assert found.alpha[104, 269:271].mean() > 0.4
    assert found.alpha[104, 240:255].mean() < 0.1


def test_echo_repeats_the_outline_in_steps() -> None:
    mask = disc(540, 675, 0.42)
    after = composer("echo")(photo(540, 675), mask, seed=1)
    corner = after[:160, :160].reshape(-1, 3) // 4
    colours, counts = np.unique(corner, axis=0, return_counts=True)
    assert (np.sort(counts)[-3:] > 400).all(), "flat layers"
    assert len(colours) > 20, "and the shadows between them"


def test_sticker_has_a_white_border() -> None:
    mask = disc(540, 675, 0.42)
    image = np.where(mask[..., None], (40, 60, 160), (210, 205, 190)).astype(np.uint8)
    after = composer("sticker")(image, mask, seed=1)
    border = outside(mask, 4) & ~outside(mask, 6)
    assert (after[border].min(axis=1) > 225).mean() > 0.9


@pytest.mark.parametrize("name", ["sticker", "poster", "halftone", "duotone"])
def test_a_shadow_does_not_come_in_at_the_other_side(name: str) -> None:
    image = np.full((270, 216, 3), 200, dtype=np.uint8)
    low = np.zeros((270, 216), dtype=np.bool_)
    low[200:, 60:160] = True  # cut by the lower edge, where the shadow falls out of the image
    image[low] = 90
    after = composer(name)(image, low, seed=3).astype(int)
    assert after[:3].sum(axis=2).mean() > 0.9 * after[6:12].sum(axis=2).mean()


def test_spotlight_dims_the_surroundings_and_not_the_object() -> None:
    before, mask = photo(), disc(share=0.42)
    after = composer("spotlight")(before, mask, seed=1)
    far, deep = outside(mask, 40), inside(mask, 4)
    assert after[far].mean() < 0.8 * before[far].mean()
    assert after[far].std() < before[far].std()
    assert after[deep].mean() >= before[deep].mean() - 1


def test_spotlight_does_not_smear_the_object_into_the_blur() -> None:
    image = np.full((270, 216, 3), 90, dtype=np.uint8)
    mask = disc(share=0.42)
    image[mask] = (255, 0, 0)
    after = composer("spotlight")(image, mask, seed=1).astype(int)
    around = outside(mask, 8)
    assert (after[..., 0] - after[..., 1:].max(axis=2))[around].max() < 60


def test_halftone_prints_in_few_colours() -> None:
    before, mask = photo(540, 675), disc(540, 675, 0.42)
    after = composer("halftone")(before, mask, seed=1)
    far = outside(mask, 30)
    assert len(np.unique(after[far] // 32, axis=0)) < 40


@pytest.mark.parametrize("name", WITH_MASK)
def test_very_dark_photos_get_no_darker(name: str) -> None:
    """And no brown: the object is lifted, the surroundings are colourful or lit."""
    before = (photo().astype(float) * 0.18).astype(np.uint8)
    mask = disc(share=0.42)
    after = composer(name)(before, mask, seed=1)
    deep = inside(mask, 4)
    assert after[deep].mean() > 1.15 * before[deep].mean()
    assert after[outside(mask, 8)].mean() > 1.5 * before[outside(mask, 8)].mean()


@pytest.mark.parametrize("name", WITH_MASK)
def test_without_an_object_nothing_changes(name: str) -> None:
    before = photo()
    after = composer(name)(before, np.zeros(before.shape[:2], dtype=np.bool_), seed=1)
    np.testing.assert_array_equal(after, before)


def test_the_whole_picture_style_shows_all_of_the_photo_and_its_colours() -> None:
    image = np.zeros((540, 540, 3), dtype=np.uint8)
    image[:270], image[270:] = (220, 40, 40), (40, 60, 200)
    empty = np.zeros((540, 540), dtype=np.bool_)
    made = composer(WITHOUT_MASK)
    after = made(image, empty, seed=1)
    np.testing.assert_array_equal(after, made(image, disc(540, 540), seed=1))
    for colour in ((220, 40, 40), (40, 60, 200)):
        near = np.abs(after.astype(int) - colour).max(axis=2) < 6
        assert near[:400].mean() > 0.2, "in the photo"
        assert near[-100:].mean() > 0.05, "and on a card beneath it"


@pytest.mark.parametrize("name", STYLES)
def test_a_mask_that_covers_everything(name: str) -> None:
    before = photo()
    after = composer(name)(before, np.ones(before.shape[:2], dtype=np.bool_), seed=1)
    assert after.shape == before.shape


# --- the canvas --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("size", [(320, 400), (400, 320), (180, 320)])
def test_a_style_fills_its_canvas(name: str, size: tuple[int, int]) -> None:
    """No bars: each border of the canvas is painted as the middle of that side is."""
    after = composer(name)(photo(200, 400), disc(200, 400, 0.4), seed=4, size=size)
    assert after.shape == (size[1], size[0], 3)
    for side in (after[:, 0], after[:, -1]):
        assert side.mean() > 40


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("aspect", [0.5, 0.8, 1.0, 1.91])
@given(data=st.data())
@settings(max_examples=30)
def test_a_window_shows_the_whole_object(aspect: float, free: bool, data: st.DataObject) -> None:
    """One that the photo does not cut is never cut by the window."""
    height, width = data.draw(st.integers(40, 120)), data.draw(st.integers(40, 120))
    left, top = data.draw(st.integers(2, width - 12)), data.draw(st.integers(2, height - 12))
    right = data.draw(st.integers(left + 1, width - 2))
    bottom = data.draw(st.integers(top + 1, height - 2))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    seen = window(mask, aspect, free=free)
    assert seen.width / seen.height == pytest.approx(aspect)
    assert seen.left <= left + 1e-6
    assert seen.top <= top + 1e-6
    assert seen.left + seen.width >= right - 1e-6
    assert seen.top + seen.height >= bottom - 1e-6


@pytest.mark.parametrize("aspect", [0.5, 0.8, 1.5])
def test_what_the_photo_cuts_stands_at_the_border_of_the_window(aspect: float) -> None:
    mask = np.zeros((300, 200), dtype=np.bool_)
    mask[120:, 60:140] = True  # a person, cut below
    seen = window(mask, aspect, free=True)
    assert seen.top + seen.height == pytest.approx(300)
    mask = np.zeros((300, 200), dtype=np.bool_)
    mask[100:200, :90] = True  # and somebody who comes in from the left
    assert window(mask, aspect, free=True).left == 0


def test_a_person_cut_on_three_sides_keeps_the_head() -> None:
    mask = np.zeros((400, 200), dtype=np.bool_)
    mask[60:, :] = True
    seen = window(mask, 0.8, free=True)
    assert seen.width <= 200
    assert seen.top < 60


def test_surroundings_that_stay_are_cropped_before_they_are_invented() -> None:
    mask = np.zeros((300, 200), dtype=np.bool_)
    mask[120:180, 70:130] = True
    seen = window(mask, 0.8, free=False)
    assert seen.left >= 0
    assert seen.top >= 0
    assert seen.left + seen.width <= 200 + 1e-6
    assert seen.top + seen.height <= 300 + 1e-6


def test_beyond_the_photo_a_canvas_goes_on_in_its_colours() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    image[:, :50], image[:, 50:] = (200, 30, 30), (30, 30, 200)
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[2:98, 2:98] = True
    seen = window(mask, 2.0, free=False)
    shown, where = show(image, seen, (400, 200)), show_mask(mask, seen, (400, 200))
    assert np.abs(shown[100, 2].astype(int) - (200, 30, 30)).max() < 40
    assert np.abs(shown[100, -3].astype(int) - (30, 30, 200)).max() < 40
    assert not where[:, :90].any()
    assert where[100, 110:290].all()


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
    found = matte(before, dirty)
    assert found.alpha[:60, :60].max() == 0
    assert found.alpha[330:350, 262:284].min() == 1


def test_an_unknown_style_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'echo'"):
        composer("echos")
    with pytest.raises(ValueError, match=r"known: echo, .*swatches"):
        composer("zzzzzz")


def test_a_style_that_was_removed_names_its_nearest() -> None:
    for name, nearest in GONE.items():
        assert nearest in STYLES
        with pytest.raises(ValueError, match=f"'{name}' was removed; '{nearest}'"):
            composer(name)


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
def test_a_hue_is_an_angle(seed: int) -> None:
    assert 0 <= hue(seed) < 360


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


def flat(*colours: tuple[int, int, int]) -> PIL.Image.Image:
    """Equal stripes."""
    stripes = [np.full((24, 96, 3), colour, dtype=np.uint8) for colour in colours]
    return PIL.Image.fromarray(np.concatenate(stripes))


def turned(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


@pytest.mark.parametrize("seed", range(6))
def test_the_colours_of_a_picture_are_its_photos(seed: int) -> None:
    """Red and blue stripes: a hue of the two, or the one across from the first."""
    found = palette(flat((200, 40, 40), (40, 60, 200)), None, seed)
    near = [turned(found.hue, degrees) for degrees in (27, 266, 27 + 180, 266 + 180)]
    assert min(near) < 15


def test_another_photo_has_other_colours() -> None:
    red, green = (
        palette(flat(c, (128, 128, 128)), None, 0) for c in ((200, 40, 40), (30, 160, 60))
    )
    assert turned(red.hue, green.hue) > 60


def test_colours_of_a_grey_photo_differ_from_post_to_post() -> None:
    grey = flat((90, 90, 90), (160, 160, 160))
    hues = [palette(grey, None, seed).hue for seed in range(8)]
    assert len({round(one) for one in hues}) == 8


def test_swatches_are_shares_of_the_photo_from_dark_to_light() -> None:
    found = palette(flat((250, 250, 250), (20, 20, 20), (250, 250, 250)), None, 1).swatches
    assert [one.lightness for one in found] == sorted(one.lightness for one in found)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert found[-1].share == pytest.approx(2 / 3, abs=0.02)


def test_paper_is_never_brown() -> None:
    """Dark orange is brown, dark blue is blue."""
    assert unbrowned(0.4, 60) > 0.6
    assert unbrowned(0.4, 260) == 0.4
    assert unbrowned(0.9, 60) == 0.9


# --- words and label ---------------------------------------------------------------------------


def test_alt_text_says_whose_what_and_by_whom() -> None:
    assert alt_text("duotone", author="ines", coverage=0.3) == (
        "Photo by @ines with the main object in full colour and its surroundings in two tones; "
        "made by a machine"
    )
    assert "small main object" in alt_text("echo", author="@ines", coverage=0.02)
    assert "@@" not in alt_text("echo", author="@ines", coverage=0.02)


@pytest.mark.parametrize("name", STYLES)
def test_every_style_has_its_words(name: str) -> None:
    words = alt_text(name, author="ines", coverage=0.3)
    assert words.startswith("Photo by @ines with ")
    assert words.endswith("; made by a machine")
    assert "{" not in words
    assert len({alt_text(other, author="i", coverage=0.3) for other in STYLES}) == len(STYLES)


def test_alt_text_claims_no_overlay_where_there_is_no_object() -> None:
    assert alt_text("echo", author="ines", coverage=0.0) == "Photo by @ines; made by a machine"
    assert "cards" in alt_text("swatches", author="", coverage=0.0)


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
