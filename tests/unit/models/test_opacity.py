"""Transparent pictures: on white they look the same; beside their alpha they keep their colour."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bot.config import Settings
from bot.config.settings import Data
from bot.verbs.images import upscale
from models.images.codec import decode, encode_png
from models.images.opacity import on_white, straight


def layered(colour: tuple[int, int, int], alpha: int) -> PIL.Image.Image:
    return PIL.Image.new("RGBA", (32, 24), (*colour, alpha))


def as_png(picture: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@given(arrays(np.uint8, (5, 4, 3)), arrays(np.uint8, (5, 4)), st.sampled_from([0, 90, 255]))
def test_on_any_ground_it_looks_as_before(
    colours: np.ndarray, alpha: np.ndarray, ground: int
) -> None:
    def lies_on(value: int, pixels: np.ndarray) -> np.ndarray:
        share = alpha[..., None] / 255
        return pixels * share + value * (1 - share)

    white = lies_on(255, colours).round().astype(np.uint8)
    again = straight(white, alpha)
    sure = alpha >= 8
    away = abs(lies_on(ground, again) - lies_on(ground, colours))[sure]
    assert away.max(initial=0) <= 1.01


def test_half_transparent_red_stays_red() -> None:
    found = decode(as_png(layered((255, 0, 0), 128)))
    assert found.alpha is not None
    assert (found.pixels[0, 0] == (255, 127, 127)).all(), "as it looks on white"
    colours = straight(found.pixels, found.alpha)
    assert (abs(colours.astype(int) - (255, 0, 0)) <= 1).all()
    kept = PIL.Image.open(io.BytesIO(encode_png(colours, found.alpha)))
    assert kept.getpixel((3, 3))[3] == 128  # type: ignore[index]


def test_colours_go_on_under_what_is_transparent() -> None:
    picture = layered((0, 120, 0), 255)
    picture.paste((255, 0, 255, 0), (0, 0, 16, 24))  # a hidden colour, which nobody sees
    found = decode(as_png(picture))
    assert found.alpha is not None
    assert (straight(found.pixels, found.alpha) == (0, 120, 0)).all(), "no rim of white"


def test_nothing_but_transparent() -> None:
    white = np.full((4, 4, 3), 255, np.uint8)
    assert (straight(white, np.zeros((4, 4), np.uint8)) == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "1", "CMYK"])
def test_on_white(mode: str) -> None:
    picture = layered((255, 0, 0), 0)
    shown = on_white(picture.convert(mode) if mode != "P" else picture.quantize(4))
    assert shown.mode == "RGB"
    if mode in ("RGBA", "LA", "P"):
        assert shown.getpixel((1, 1)) == (255, 255, 255), "not the hidden red"


@pytest.mark.parametrize("scale", [2, 4])
def test_enlarged_colours_are_the_same_and_so_is_their_opacity(tmp_path: Path, scale: int) -> None:
    picture = layered((255, 0, 0), 128)
    picture.paste((255, 0, 255, 0), (0, 0, 16, 24))  # the left half is not there
    (tmp_path / "half.png").write_bytes(as_png(picture))
    settings = Settings(data=Data(dir=tmp_path / "data"))
    report = upscale([tmp_path / "half.png"], tmp_path / "out", scale, settings)
    assert report.failed == []
    with PIL.Image.open(report.written[0]) as opened:
        found = np.asarray(opened).astype(int)
    assert found.shape == (24 * scale, 32 * scale, 4)
    assert (abs(found[..., :3] - (255, 0, 0)) <= 8).all(), "red, at the edge as well"
    middle = 16 * scale
    assert (abs(found[:, middle + 4 * scale :, 3] - 128) <= 4).all()
    assert (found[:, : middle - 4 * scale, 3] <= 4).all()
