"""Pictures are found again in altered ones, at the right place, and in nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont, ImageOps

from models.base import Image
from models.quality.landmarks import CornerPatches, landmarks
from models.quality.reappearance import SAME, Reappearance, Watched, compare, place
from tests.pictures import jpeg, noise, photo

PHOTO = photo("astronaut", 400)
OTHERS = ("coffee", "chelsea", "rocket", "retina", "immunohistochemistry")


def written_over(image: Pil.Image) -> Pil.Image:
    out = image.copy()
    font = ImageFont.load_default(44)
    for line, words in enumerate(("SALE TODAY", "only here")):
        ImageDraw.Draw(out).text((10, 60 + 150 * line), words, font=font, fill="yellow")
    ImageDraw.Draw(out).rectangle((0, 350, 400, 400), fill="black")
    return out


def tinted(image: Pil.Image) -> Pil.Image:
    pixels = (np.asarray(image) / 255) ** 1.4 * (0.7, 1.1, 0.9) + 0.05
    return Pil.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


def in_a_screenshot(image: Pil.Image) -> Pil.Image:
    out = Pil.new("RGB", (420, 640), "white")
    out.paste(image.resize((260, 260)), (40, 200))
    return out


ALTERED: dict[str, Callable[[Pil.Image], Pil.Image]] = {
    "as it is": lambda image: image,
    "half the size": lambda image: image.resize((200, 200)),
    "crop to half": lambda image: image.crop((150, 20, 350, 220)),
    "tint": tinted,
    "mirror": ImageOps.mirror,
    "text": written_over,
    "screenshot": in_a_screenshot,
    "narrower": lambda image: image.resize((340, 400)),
    "turned": lambda image: image.rotate(4, Pil.Resampling.BICUBIC),
    "all": lambda image: written_over(ImageOps.mirror(tinted(image.crop((60, 0, 360, 300))))),
}


def pixels(image: Pil.Image) -> Image:
    return np.array(image.convert("RGB"))


def both(image: Image, number: int = 1) -> list[tuple[int, CornerPatches]]:
    turned = np.ascontiguousarray(image[:, ::-1])
    return [(number, landmarks(image)), (-number, landmarks(turned))]


def found(mine: Image, image: Image) -> Reappearance | None:
    watched, seen = Watched(both(mine)), landmarks(image)
    best = None
    for number in watched.candidates(seen):
        placement = watched.placement(number, seen)
        if placement is not None:
            one = compare(mine, image, placement)
            if best is None or one.similarity > best.similarity:
                best = one
    return best


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_picture_is_found(name: str) -> None:
    altered = Pil.open(io.BytesIO(jpeg(ALTERED[name](PHOTO), 60)))
    one = found(pixels(PHOTO), pixels(altered))
    assert one is not None
    assert one.similarity >= SAME
    assert one.placement.mirrored == (name in ("mirror", "all"))


def test_other_pictures_are_not_found() -> None:
    others = [photo(name, 400) for name in OTHERS] + [noise(1), Pil.new("RGB", (90, 60), "red")]
    similar = [found(pixels(PHOTO), pixels(other)) for other in others]
    assert [one for one in similar if one is not None and one.similarity >= SAME] == []


def test_the_same_words_and_bar_on_another_photo_do_not_count() -> None:
    one = found(pixels(written_over(PHOTO)), pixels(written_over(photo("coffee", 400))))
    assert one is None or one.similarity < SAME


def test_where_it_lies_and_what_is_shown() -> None:
    altered = PHOTO.crop((150, 20, 350, 220)).resize((400, 400))
    one = found(pixels(PHOTO), pixels(altered))
    assert one is not None
    outline = np.array(one.placement.outline(400, 400))
    assert outline == pytest.approx(
        np.array([(-300, -40), (500, -40), (500, 760), (-300, 760)]), abs=8
    )
    shown = np.array(one.placement.shown((400, 400), (400, 400)))
    assert shown == pytest.approx(np.array([(150, 20), (350, 20), (350, 220), (150, 220)]), abs=4)
    assert one.covered == pytest.approx(0.25, abs=0.02)


def test_of_a_mirrored_crop_the_right_part_is_shown() -> None:
    altered = ImageOps.mirror(PHOTO.crop((0, 0, 250, 300)))
    one = found(pixels(PHOTO), pixels(altered))
    assert one is not None
    corners = np.array(one.placement.shown((400, 400), (250, 300)))
    assert corners.min(axis=0) == pytest.approx((0, 0), abs=4)
    assert corners.max(axis=0) == pytest.approx((250, 300), abs=4)


def test_the_right_one_of_many_is_the_first_candidate() -> None:
    everyone = [PHOTO, *(photo(name, 300) for name in OTHERS)]
    marks = [pair for n, image in enumerate(everyone) for pair in both(pixels(image), n + 1)]
    watched = Watched(marks)
    seen = landmarks(pixels(ImageOps.mirror(everyone[2])))
    assert watched.candidates(seen)[0] == -3


def test_flat_and_tiny_pictures_have_no_landmarks() -> None:
    for image in (np.full((50, 80, 3), 7, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        marks = landmarks(image)
        assert len(marks) == 0
        assert place(marks, landmarks(pixels(PHOTO))) is None
        assert Watched(both(image)).candidates(marks) == []
    assert Watched([]).candidates(landmarks(pixels(PHOTO))) == []


def test_landmarks_do_not_depend_on_brightness_and_contrast() -> None:
    image = pixels(PHOTO)
    dim = (image * 0.5 + 40).astype(np.uint8)
    one, other = landmarks(image), landmarks(dim)
    best = (one.unit() @ other.unit().T).max(axis=1)
    assert np.median(best) > 0.95
