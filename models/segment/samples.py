"""Training pictures for the segmenter: photos with pseudo-masks, moved about so that neither the
centre nor the frame gives the object away, and pictures that show no object at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy import ndimage

from models.base import Image, Mask
from models.images.opacity import on_white
from models.training.augment import blurred, greyed, jitter, random_crop

LONG_SIDE = 320
STRIP = 48  # the narrowest stretch of background worth cutting out, in pixels
SMALLEST = 0.02  # a visible share below this is no object one could be asked to find


@dataclass(frozen=True, slots=True)
class Sample:
    """`wanted` (H, W): bool where each pixel is object or not, uint8 (255 is sure) where a soft
    mask teaches. Bytes, because thousands of them lie in memory.
    """

    image: Image
    wanted: Mask | NDArray[np.uint8]

    @property
    def mask(self) -> Mask:
        """(H, W) bool"""
        if self.wanted.dtype == np.uint8:
            return np.asarray(self.wanted > 127)
        return self.wanted.astype(bool)

    @property
    def target(self) -> NDArray[np.float32]:
        """(H, W) in [0, 1]"""
        if self.wanted.dtype == np.uint8:
            return self.wanted.astype(np.float32) / np.float32(255)
        return self.wanted.astype(np.float32)

    def resampled(self, target: NDArray[np.float32]) -> NDArray[np.float32]:
        """`target` after a change of size or place: hard where the mask is."""
        if self.wanted.dtype == np.uint8:
            return target
        return (target > 0.5).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Pool:
    """Photos with masks, each set with its weight, and stretches of background without any."""

    sets: list[list[Sample]]
    weights: list[float]
    backgrounds: list[Image]


def load_set(photos: Path, masks: Path) -> list[Sample]:
    """The photos that have a mask at the same relative path. Raises ValueError when none has."""
    samples = []
    for path in sorted(masks.rglob("*.png")):
        photo = (photos / path.relative_to(masks)).with_suffix(".jpg")
        with Pil.open(photo) as opened, Pil.open(path) as label:
            image, mask = on_white(opened), label.convert("L")
        factor = min(1.0, LONG_SIDE / max(image.size))
        size = (round(image.width * factor), round(image.height * factor))
        small = np.asarray(image.resize(size, Pil.Resampling.BILINEAR))
        wanted = np.asarray(mask.resize(size))
        samples.append(Sample(small, wanted > 127 if hard(mask) else wanted))
    if not samples:
        raise ValueError(f"no masks in {masks}")
    return samples


def hard(mask: Pil.Image) -> bool:
    """Of a mask in grey: whether it has no grey, only 0 and 255."""
    return not any(mask.histogram()[1:255])


def build_pool(sets: Iterable[tuple[Path, Path, float]]) -> Pool:
    loaded = [(load_set(photos, masks), weight) for photos, masks, weight in sets]
    total = sum(weight for _, weight in loaded)
    backgrounds = [b for samples, _ in loaded for s in samples for b in background_strips(s)]
    weights = [weight / total for _, weight in loaded]
    return Pool([samples for samples, _ in loaded], weights, backgrounds)


def background_strips(sample: Sample) -> list[Image]:
    """What lies left and right of the object. Above and below, masks miss heads and feet."""
    grown = ndimage.binary_dilation(sample.mask, iterations=6)
    columns = np.flatnonzero(grown.any(0))
    if columns.size == 0:
        return []
    strips = [sample.image[:, : columns[0]], sample.image[:, columns[-1] + 1 :]]
    return [np.ascontiguousarray(s) for s in strips if min(s.shape[:2]) >= STRIP]


def draw(pool: Pool, rng: np.random.Generator, side: int) -> tuple[Image, NDArray[np.float32]]:
    """A picture (side, side, 3) and its mask (side, side) in [0, 1], or in {0, 1} if it is hard."""
    if rng.random() < 0.12:
        return finish(objectless(pool, rng, side), np.zeros((side, side), np.float32), rng)
    samples = pool.sets[rng.choice(len(pool.sets), p=pool.weights)]
    sample = samples[rng.integers(len(samples))]
    kind = rng.random()
    for _ in range(4):
        if kind < 0.42:
            image, mask = gentle(sample, rng, side)
        elif kind < 0.60:
            image, mask = cut_off(sample, rng, side)
        elif kind < 0.74:
            image, mask = framed(sample, pool, rng, side)
        else:
            image, mask = moved(sample, pool, rng, side, cut_out=kind > 0.88)
        if mask.mean() >= SMALLEST:
            return finish(image, mask, rng)
    return finish(*gentle(sample, rng, side, most=0.0), rng)


def finish(
    image: Image, mask: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Flips, colour, grey, blur."""
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.7:
        image = jitter(image, rng, 0.35)
    if rng.random() < 0.08:
        image = greyed(image)
    if rng.random() < 0.15:
        image = blurred(image, rng.uniform(0.3, 1.2))
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def gentle(
    sample: Sample, rng: np.random.Generator, side: int, most: float = 0.4
) -> tuple[Image, NDArray[np.float32]]:
    """The photo itself, with up to `most` of each side cropped away unevenly."""
    height, width = sample.wanted.shape
    top, bottom = np.sort(rng.uniform(0, most, 2)) * (rng.random() < 0.8)
    left, right = rng.uniform(0, most, 2) * (rng.random() < 0.8)
    rows = slice(round(top * height), max(round((1 - (bottom - top)) * height), 16))
    columns = slice(round(left * width / 2), max(round((1 - right / 2) * width), 16))
    return squeezed(sample, rows, columns, side)


def cut_off(
    sample: Sample, rng: np.random.Generator, side: int
) -> tuple[Image, NDArray[np.float32]]:
    """One side of a line through the object: what is left of it touches a border."""
    height, width = sample.wanted.shape
    ys, xs = np.nonzero(sample.mask)
    if not xs.size:
        return gentle(sample, rng, side)
    across = bool(rng.random() < 0.5)
    line = int(np.quantile(ys if across else xs, rng.uniform(0.2, 0.8)))
    length = height if across else width
    far = round(length * rng.uniform(0, 0.25))  # some of what lies opposite may go too
    kept = slice(line, length - far) if rng.random() < 0.5 else slice(far, line + 1)
    if kept.stop - kept.start < 24:
        return gentle(sample, rng, side)
    trim = np.sort(rng.uniform(0, 0.2, 2)) * (height + width - length)
    other = slice(round(trim[0]), round(height + width - length - trim[1] + trim[0]))
    rows, columns = (kept, other) if across else (other, kept)
    return squeezed(sample, rows, columns, side)


def squeezed(
    sample: Sample, rows: slice, columns: slice, side: int
) -> tuple[Image, NDArray[np.float32]]:
    """A part of the photo, as serving squeezes it."""
    image = cv2.resize(sample.image[rows, columns], (side, side), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(sample.target[rows, columns], (side, side), interpolation=cv2.INTER_AREA)
    return image, sample.resampled(mask)


def framed(
    sample: Sample, pool: Pool, rng: np.random.Generator, side: int
) -> tuple[Image, NDArray[np.float32]]:
    """The whole photo somewhere on a larger canvas, of its border's colour or of something else."""
    height, width = np.maximum(np.rint(side / np.exp(rng.uniform(0, np.log(2.4), 2))), 24)
    rows, columns = int(height), int(width)
    small = cv2.resize(sample.image, (columns, rows), interpolation=cv2.INTER_AREA)
    shape = cv2.resize(sample.target, (columns, rows), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        image = np.empty((side, side, 3), np.uint8)
        image[:] = np.median(np.concatenate([small[:, 0], small[:, -1]]), axis=0)
    else:
        image = objectless(pool, rng, side).copy()
    mask = np.zeros((side, side), np.float32)
    # Half of them in a corner: there is where centred training would not look.
    spread = rng.integers(2, size=2) if rng.random() < 0.5 else rng.random(2)
    top, left = (round(float(s)) for s in spread * (side - np.array([rows, columns])))
    image[top : top + rows, left : left + columns] = small
    mask[top : top + rows, left : left + columns] = sample.resampled(shape)
    return image, mask


def moved(
    sample: Sample, pool: Pool, rng: np.random.Generator, side: int, *, cut_out: bool
) -> tuple[Image, NDArray[np.float32]]:
    """Zoomed, turned, stretched and shifted far off centre, on a canvas of something else.

    `cut_out`: only the object lands on the canvas, not the photo around it.
    """
    height, width = sample.wanted.shape
    ys, xs = np.nonzero(sample.mask)
    centre = np.array([xs.mean(), ys.mean()]) if xs.size else np.array([width / 2, height / 2])
    angle = np.deg2rad(rng.normal(0, 12))
    zoom = side / max(height, width) * np.exp(rng.uniform(np.log(0.55), np.log(1.7)))
    stretch = np.exp(rng.uniform(-0.3, 0.5))  # serving squeezes tall pictures into a square
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag([zoom * stretch, zoom]) @ turn
    target = rng.uniform(0.1, 0.9, 2) * side
    affine = np.hstack([matrix, (target - matrix @ centre)[:, None]])
    size = (side, side)
    mask = cv2.warpAffine(sample.target, affine, size, flags=cv2.INTER_LINEAR)
    image = cv2.warpAffine(sample.image, affine, size, flags=cv2.INTER_LINEAR)
    if cut_out:
        cover = cv2.GaussianBlur(mask, (0, 0), 0.8)
    else:
        cover = cv2.warpAffine(np.ones((height, width), np.float32), affine, size)
    canvas = objectless(pool, rng, side)
    mixed = canvas + (image.astype(np.float32) - canvas) * cover[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8), sample.resampled(mask)


def objectless(pool: Pool, rng: np.random.Generator, side: int) -> Image:
    """A stretch of background from a photo, a texture, or a flat, graded or noisy plane."""
    kind = rng.random()
    if kind < 0.25:
        samples = pool.sets[rng.integers(len(pool.sets))]
        return texture(samples[rng.integers(len(samples))].image, rng, side)
    if pool.backgrounds and kind < 0.8:
        strip = pool.backgrounds[rng.integers(len(pool.backgrounds))]
        return random_crop(strip, rng, side, (0.4, 1.0))
    return plane(rng, side)


def plane(rng: np.random.Generator, side: int) -> Image:
    """A corner-to-corner colour gradient (flat when the corners agree) with noise of some grain."""
    spread = rng.choice([0.0, 30.0, 120.0])
    corners = rng.uniform(0, 255, 3) + rng.normal(0, spread, (2, 2, 3))
    image = cv2.resize(corners.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    grain = int(rng.choice([side, side // 2, side // 8]))
    rough = rng.normal(0, rng.choice([0.0, 4.0, 25.0]), (grain, grain, 3)).astype(np.float32)
    image += cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC)
    whole: Image = np.clip(image, 0, 255).astype(np.uint8)
    return whole


def texture(image: Image, rng: np.random.Generator, side: int) -> Image:
    """A small piece of a photo, mirrored again and again: much to see and no object."""
    length = int(rng.integers(12, 48))
    piece = random_crop(image, rng, length, (0.01, 0.1))
    row = np.concatenate([piece, piece[:, ::-1]], axis=1)
    tile = np.concatenate([row, row[::-1]], axis=0)
    times = -(-side // tile.shape[0]) + 1
    whole = np.tile(tile, (times, times, 1))
    top, left = rng.integers(tile.shape[0], size=2)
    return np.ascontiguousarray(whole[top : top + side, left : left + side])
