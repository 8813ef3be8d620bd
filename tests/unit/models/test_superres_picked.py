"""How damaged a picture is, and which network therefore enlarges it (no torch)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil
from skimage import data

from bot.config import Settings
from bot.verbs import images
from models.base import Image
from models.serving.packs import embedded_weights, load_upscaler
from models.serving.runtime import Runtime
from models.superres.damage import Damage, damage
from models.superres.pick_by_damage import PickedUpscaler

RUNTIME = Runtime(threads=1)


def noisy(image: Image, sigma: float, *, grey: bool = True) -> Image:
    shape = (*image.shape[:2], 1 if grey else 3)
    drawn = np.random.default_rng(1).normal(0, sigma, shape)
    return np.clip(np.rint(image + drawn), 0, 255).astype(np.uint8)


def level(image: Image) -> float:
    return damage(image).noise


def jpeg(image: Image, quality: int) -> Image:
    out = io.BytesIO()
    Pil.fromarray(image).save(out, "JPEG", quality=quality)
    return np.asarray(Pil.open(out))


@pytest.mark.parametrize("sigma", [2, 5, 10, 25])
def test_noise_on_a_ramp_is_measured(sigma: int) -> None:
    ramp = np.repeat(np.linspace(60, 190, 200)[None, :, None], 160, 0).repeat(3, 2)
    found = level(noisy(ramp.astype(np.uint8), sigma))
    assert found == pytest.approx(sigma, rel=0.15)
    assert level(ramp.astype(np.uint8)) < 0.5


def test_texture_is_no_noise() -> None:
    photo = data.astronaut()[:256, :256]
    assert level(photo) < 2.5
    assert level(noisy(photo, 12)) > 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (9, 9), (10, 10), (2, 11)])
def test_tiny_pictures_have_a_level(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    found = level(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert found == 0 if min(shape) < 10 else found > 20


def test_blocks_of_jpeg_show() -> None:
    photo = data.astronaut()[:256, :256]
    assert damage(photo).blocks < 1.1
    assert damage(jpeg(photo, 20)).blocks > 1.4
    assert damage(jpeg(photo, 90)).blocks < 1.2
    turned = np.ascontiguousarray(jpeg(photo, 20).swapaxes(0, 1))
    assert damage(turned).blocks > 1.4


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (1, 40), (9, 9), (64, 64)])
def test_an_even_picture_has_no_damage(shape: tuple[int, int]) -> None:
    assert damage(np.full((*shape, 3), 77, np.uint8)) == Damage(0.0, 1.0)


@pytest.mark.parametrize("side", [12, 16, 24, 32])
def test_small_pictures_show_no_blocks_by_chance(side: int) -> None:
    """Smooth and undamaged: with one or two blocks in a row, chance would call a third damaged."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        few = Pil.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        smooth = np.asarray(few.resize((side, side), Pil.Resampling.BICUBIC))
        assert damage(smooth).blocks < 1.3, seed


class Fixed:
    scale = 2

    def __init__(self, value: int, scale: int = 2) -> None:
        self.version, self.value, self.scale = f"net{value}", value, scale

    def __call__(self, image: Image) -> Image:
        return np.full_like(image.repeat(self.scale, 0).repeat(self.scale, 1), self.value)


def test_the_damage_picks() -> None:
    picked = PickedUpscaler(Fixed(1), Fixed(2), Damage(4.0, 1.3))
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert picked.scale == 2
    assert picked.version == "net1+net2@4,1.3"  # another limit is another cache key
    assert picked(flat).max() == 1
    assert picked(noisy(flat, 3)).max() == 1
    assert picked(noisy(flat, 6)).min() == 2
    photo = data.astronaut()[:256, :256]
    assert picked(photo).max() == 1
    assert picked(jpeg(photo, 20)).min() == 2
    with pytest.raises(ValueError, match="no pair"):
        PickedUpscaler(Fixed(1), Fixed(2, 4), Damage(4.0, 1.3))


def test_transparency_goes_through_the_network_that_the_colours_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Asked(Fixed):
        def __call__(self, image: Image) -> Image:
            asked.append(self.value)
            return super().__call__(image)

    picked = PickedUpscaler(Asked(1), Asked(2), Damage(4.0, 1.3))
    monkeypatch.setattr(images.ServingStages, "upscaler", lambda _self, _scale: picked)
    flat = np.full((64, 64, 3), 128, np.uint8)
    for name, colours in (("clean", flat), ("noisy", noisy(flat, 25))):
        alpha = np.full((64, 64, 1), 90, np.uint8)
        Pil.fromarray(np.concatenate([colours, alpha], 2)).save(tmp_path / f"{name}.png")
        images.upscale([tmp_path / f"{name}.png"], tmp_path / "out", 2, Settings())
    assert asked == [1, 1, 2, 2]


def test_the_shipped_pair_smooths_noise_and_leaves_a_clean_picture_to_the_other() -> None:
    shipped = load_upscaler("embedded", 4, RUNTIME)
    assert isinstance(shipped, PickedUpscaler)
    for name in ("superres-x4", "superres-x4-damaged"):
        assert embedded_weights(name).version in shipped.version
    photo = data.astronaut()[64:160, 180:276]
    grainy = noisy(photo, 20)
    assert shipped.pick(photo).version == embedded_weights("superres-x4").version
    assert shipped.pick(grainy).version == embedded_weights("superres-x4-damaged").version
    large = photo.repeat(4, 0).repeat(4, 1).astype(int)
    with_noise = np.abs(grainy.repeat(4, 0).repeat(4, 1) - large).mean()
    assert np.abs(shipped(grainy) - large).mean() < 0.75 * with_noise
