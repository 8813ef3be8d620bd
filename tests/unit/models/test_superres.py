"""Enlarging: any size, no seams, close to the picture it was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

from models.base import Image
from models.serving.packs import embedded_weights, load_upscaler
from models.serving.runtime import Runtime
from models.superres.upscaler import TiledUpscaler

RUNTIME = Runtime(threads=1)
SCALES = (2, 4)


def waves(height: int, width: int) -> Image:
    """A picture with edges, gradients and grain."""
    rng = np.random.default_rng(height * 1000 + width)
    y, x = np.mgrid[:height, :width]
    base = 120 + 80 * np.sin(x / 7 + np.sin(y / 5)) + 40 * ((x // 9 + y // 11) % 2)
    grain = rng.normal(0, 6, (height, width, 3))
    picture: Image = np.clip(base[..., None] * (1, 0.8, 0.6) + grain, 0, 255).astype(np.uint8)
    return picture


@pytest.mark.parametrize("scale", SCALES)
def test_tiled_equals_whole(scale: int) -> None:
    image = waves(131, 173)
    weights = embedded_weights(f"superres-x{scale}")
    whole = TiledUpscaler(weights, RUNTIME, window=4096)(image)
    for window in (56, 97, 128):
        tiled = TiledUpscaler(weights, RUNTIME, window=window)(image)
        assert tiled.shape == (131 * scale, 173 * scale, 3)
        assert int(np.abs(tiled.astype(int) - whole).max()) <= 1, window


@pytest.mark.parametrize("scale", SCALES)
def test_too_little_overlap_would_show(scale: int) -> None:
    """The stated reach is needed: halving it leaves seams, so the test above can fail."""
    image = waves(131, 173)
    weights = embedded_weights(f"superres-x{scale}")
    whole = TiledUpscaler(weights, RUNTIME, window=4096)(image)
    careless = TiledUpscaler(weights, RUNTIME, window=64)
    careless._overlap, careless._core = 0, 32
    assert int(np.abs(careless(image).astype(int) - whole).max()) > 1


@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=25)
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_any_size(scale: int, height: int, width: int) -> None:
    upscaler = load_upscaler("embedded", scale, RUNTIME)
    out = upscaler(waves(height, width))
    assert out.shape == (height * scale, width * scale, 3)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_tiny_and_thin(scale: int, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), (200, 100, 50), np.uint8)
    out = load_upscaler("embedded", scale, RUNTIME)(image)
    assert out.shape == (size[0] * scale, size[1] * scale, 3)
    assert float(np.abs(out.astype(int) - (200, 100, 50)).mean()) < 12


@pytest.mark.parametrize("scale", SCALES)
def test_a_flat_picture_stays_flat(scale: int) -> None:
    image = np.full((40, 40, 3), (30, 140, 220), np.uint8)
    out = load_upscaler("embedded", scale, RUNTIME)(image).astype(int)
    inner = out[8 * scale : -8 * scale, 8 * scale : -8 * scale]
    assert int(np.abs(inner - (30, 140, 220)).max()) <= 4


@pytest.mark.parametrize("scale", SCALES)
def test_reducing_again_gives_the_picture_back(scale: int) -> None:
    image = np.asarray(Pil.fromarray(waves(64, 64)).resize((48, 48), Pil.Resampling.LANCZOS))
    out = Pil.fromarray(load_upscaler("embedded", scale, RUNTIME)(image))
    back = np.asarray(out.resize((48, 48), Pil.Resampling.BOX)).astype(int)
    assert float(np.abs(back - image).mean()) < 6


def test_the_input_is_left_alone_and_the_output_repeats() -> None:
    image = waves(33, 21)
    image.flags.writeable = False
    upscaler = load_upscaler("embedded", 4, RUNTIME)
    assert np.array_equal(upscaler(image), upscaler(image))


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 4), (0, 5, 3), (5, 0, 3)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        load_upscaler("embedded", 2, RUNTIME)(np.zeros(shape, np.uint8))


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        TiledUpscaler(embedded_weights("superres-x4"), RUNTIME, window=20)
