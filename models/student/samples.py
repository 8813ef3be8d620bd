"""What the student is shown: photos moved about, cut out, pasted, cut off, framed, damaged, and
pictures without an object. Masks stay soft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from scipy import ndimage

from models.base import Image
from models.segment.samples import plane, texture
from models.student.photos import Photo
from models.student.targets import target_path
from models.training.augment import blurred, greyed, jitter, random_crop

LONG_SIDE = 320
STRIP = 48  # px: the narrowest stretch of background worth cutting out
FAINT, SURE = 25, 230  # of 255: between them the teacher is in doubt
DOUBT = 0.7  # doubtful pixels, as a share of the object's, beyond which a mask teaches nothing
AREA = (0.015, 0.9)
SMALLEST = 0.012  # a visible share below this is no object one could be asked to find
NONE = -1

Soft = NDArray[np.float32]  # (H, W) in [0, 1]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A photo with what the teachers said of it."""

    image: Image
    mask: NDArray[np.uint8] | None  # (H, W); None where the teacher was in doubt


class StudentSample(NamedTuple):
    image: Image  # (side, side, 3)
    mask: Soft  # (side, side)
    sure: bool  # whether the mask is to be learned
    feature: int  # row of the features that the embedding shall be like; NONE for a mixture


@dataclass(frozen=True, slots=True)
class PhotoPool:
    lessons: list[Lesson]
    features: Floats  # (N, D); (N, 0) where the targets have none
    masked: list[int]  # lessons with a mask
    backgrounds: list[Image]


def load_pool(photos: Sequence[Photo], targets: Path) -> PhotoPool:
    """The photos that have targets. ValueError when none has."""
    lessons, features, backgrounds = [], [], []
    for photo in photos:
        path = target_path(targets, photo)
        if not path.exists():
            continue
        with Pil.open(photo.path) as opened:
            picture = opened.convert("RGB")
        factor = min(1.0, LONG_SIDE / max(picture.size))
        size = (round(picture.width * factor), round(picture.height * factor))
        image = np.asarray(picture.resize(size, Pil.Resampling.BOX))
        with np.load(path) as stored:
            small = stored["mask"]
            feature = stored["feature"] if "feature" in stored else np.empty(0, np.float32)
        mask = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
        lessons.append(Lesson(image, mask if clear(small) else None))
        features.append(feature.astype(np.float32))
        if lessons[-1].mask is not None:
            backgrounds += background_strips(lessons[-1])
    if not lessons:
        raise ValueError(f"no targets in {targets}")
    masked = [number for number, lesson in enumerate(lessons) if lesson.mask is not None]
    return PhotoPool(lessons, np.stack(features), masked, backgrounds)


def clear(mask: NDArray[np.uint8]) -> bool:
    """Whether the teacher saw one thing and was sure of it."""
    object_, doubt = float((mask > 127).mean()), float(((mask > FAINT) & (mask < SURE)).mean())
    return AREA[0] <= object_ <= AREA[1] and doubt <= DOUBT * object_


def background_strips(lesson: Lesson) -> list[Image]:
    """What lies beside, above and below the object."""
    if lesson.mask is None:
        return []
    grown = ndimage.binary_dilation(lesson.mask > FAINT, iterations=5)
    rows, columns = np.flatnonzero(grown.any(1)), np.flatnonzero(grown.any(0))
    if columns.size == 0:
        return []
    strips = [
        lesson.image[:, : columns[0]], lesson.image[:, columns[-1] + 1 :],
        lesson.image[: rows[0]], lesson.image[rows[-1] + 1 :],
    ]  # fmt: skip
    return [np.ascontiguousarray(s) for s in strips if min(s.shape[:2]) >= STRIP]


def draw(pool: PhotoPool, rng: np.random.Generator, side: int) -> StudentSample:
    kind = rng.random()
    if kind < 0.16:
        empty = np.zeros((side, side), np.float32)
        return finish(StudentSample(objectless(pool, rng, side), empty, True, NONE), rng)
    for _ in range(4):
        sample = _shown(pool, rng, side, kind)
        if not sample.sure or sample.mask.mean() >= SMALLEST:
            return finish(sample, rng)
    return finish(cropped(pool, rng, side, least=1.0), rng)


def _shown(pool: PhotoPool, rng: np.random.Generator, side: int, kind: float) -> StudentSample:
    if kind < 0.50:
        return cropped(pool, rng, side)
    if kind < 0.62:
        return cut_off(pool, rng, side)
    if kind < 0.76:
        return framed(pool, rng, side)
    return pasted(pool, rng, side, int(rng.choice([1, 1, 1, 2, 3])))


def cropped(
    pool: PhotoPool, rng: np.random.Generator, side: int, least: float = 0.45
) -> StudentSample:
    """The photo, or a crop of at least `least` of it, squeezed to the square."""
    number = int(rng.integers(len(pool.lessons)))
    lesson = pool.lessons[number]
    height, width = lesson.image.shape[:2]
    share = 1.0 if rng.random() < 0.35 else rng.uniform(least, 1.0)
    ratio = np.exp(rng.uniform(-0.25, 0.25))
    rows = min(height, max(16, round(height * float(np.sqrt(share * ratio)))))
    columns = min(width, max(16, round(width * float(np.sqrt(share / ratio)))))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    part = (slice(top, top + rows), slice(left, left + columns))
    return _squeezed(lesson, part, side, number)


def cut_off(pool: PhotoPool, rng: np.random.Generator, side: int) -> StudentSample:
    """One side of a line through the object: what is left of it touches a border."""
    number = pool.masked[rng.integers(len(pool.masked))]
    lesson = pool.lessons[number]
    assert lesson.mask is not None  # noqa: S101 - it is among the masked
    height, width = lesson.mask.shape
    ys, xs = np.nonzero(lesson.mask > 127)
    across = bool(rng.random() < 0.5)
    line = int(np.quantile(ys if across else xs, rng.uniform(0.2, 0.8)))
    length = height if across else width
    kept = slice(line, length) if rng.random() < 0.5 else slice(0, line + 1)
    if kept.stop - kept.start < 32:
        return _squeezed(lesson, (slice(0, height), slice(0, width)), side, number)
    part = (kept, slice(0, width)) if across else (slice(0, height), kept)
    return _squeezed(lesson, part, side, NONE)


def _squeezed(lesson: Lesson, part: tuple[slice, slice], side: int, feature: int) -> StudentSample:
    """A part of the photo, as serving squeezes it."""
    image = _resized(lesson.image[part], side, side)
    if lesson.mask is None:
        return StudentSample(image, np.zeros((side, side), np.float32), False, feature)
    mask = _resized(lesson.mask[part], side, side).astype(np.float32) / np.float32(255)
    return StudentSample(image, mask, True, feature)


def _resized(image: NDArray[np.uint8], columns: int, rows: int) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if image.shape[0] > rows else cv2.INTER_LINEAR
    resized: NDArray[np.uint8] = cv2.resize(
        np.ascontiguousarray(image), (columns, rows), interpolation=how
    )
    return resized


def framed(pool: PhotoPool, rng: np.random.Generator, side: int) -> StudentSample:
    """The whole photo somewhere on a larger canvas, of its border's colour or of something else."""
    number = pool.masked[rng.integers(len(pool.masked))]
    lesson = pool.lessons[number]
    assert lesson.mask is not None  # noqa: S101 - it is among the masked
    if rng.random() < 0.5:  # twice as wide or as tall, as a poster with an empty half
        scale = np.array([0.5, 1.0]) if rng.random() < 0.5 else np.array([1.0, 0.5])
    else:
        scale = np.exp(rng.uniform(np.log(0.4), 0, 2))
    rows, columns = (int(v) for v in np.maximum(np.rint(side * scale), 32))
    small = _resized(lesson.image, columns, rows)
    if rng.random() < 0.6:
        image = np.empty((side, side, 3), np.uint8)
        image[:] = np.median(np.concatenate([small[:, 0], small[:, -1]]), axis=0)
    else:
        image = objectless(pool, rng, side).copy()
    mask = np.zeros((side, side), np.float32)
    spread = rng.integers(2, size=2) if rng.random() < 0.6 else rng.random(2)
    top, left = (round(float(s)) for s in spread * (side - np.array([rows, columns])))
    image[top : top + rows, left : left + columns] = small
    mask[top : top + rows, left : left + columns] = _resized(lesson.mask, columns, rows).astype(
        np.float32
    ) / np.float32(255)
    return StudentSample(image, mask, True, number)


def pasted(pool: PhotoPool, rng: np.random.Generator, side: int, count: int) -> StudentSample:
    """Cut-outs, zoomed, turned and mirrored, on a canvas of something else.

    The canvas shows no object of its own, so all that is pasted is wanted.
    """
    image = objectless(pool, rng, side).astype(np.float32)
    mask = np.zeros((side, side), np.float32)
    for _ in range(count):
        lesson = pool.lessons[pool.masked[rng.integers(len(pool.masked))]]
        most = 0.95 if count == 1 else 0.6
        colour, cover = _placed(lesson, rng, side, rng.uniform(0.2, most))
        image += (colour - image) * cover[..., None]
        mask = np.maximum(mask, cover)
    return StudentSample(np.clip(image, 0, 255).astype(np.uint8), mask, True, NONE)


def _placed(
    lesson: Lesson, rng: np.random.Generator, side: int, size: float
) -> tuple[Floats, Soft]:
    """The object with about `size` of the canvas' side, its middle anywhere on the canvas."""
    assert lesson.mask is not None  # noqa: S101 - it is among the masked
    ys, xs = np.nonzero(lesson.mask > 127)
    centre = np.array([np.median(xs), np.median(ys)])
    extent = max(np.ptp(xs), np.ptp(ys)) + 1
    zoom = size * side / extent
    angle = np.deg2rad(rng.normal(0, 15))
    stretch = np.exp(rng.uniform(-0.3, 0.3))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag([zoom * stretch, zoom]) @ turn
    target = rng.uniform(0.05, 0.95, 2) * side
    affine = np.hstack([matrix, (target - matrix @ centre)[:, None]])
    shape = (side, side)
    cover = cv2.warpAffine(lesson.mask, affine, shape, flags=cv2.INTER_LINEAR)
    colour = cv2.warpAffine(jitter(lesson.image, rng, 0.2), affine, shape, flags=cv2.INTER_LINEAR)
    return colour.astype(np.float32), cover.astype(np.float32) / np.float32(255)


def objectless(pool: PhotoPool, rng: np.random.Generator, side: int) -> Image:
    """A stretch of background from a photo, a texture, or a flat, graded or noisy plane."""
    kind = rng.random()
    if kind < 0.2:
        return texture(pool.lessons[rng.integers(len(pool.lessons))].image, rng, side)
    if pool.backgrounds and kind < 0.85:
        strip = pool.backgrounds[rng.integers(len(pool.backgrounds))]
        return random_crop(strip, rng, side, (0.4, 1.0))
    return plane(rng, side)


def finish(sample: StudentSample, rng: np.random.Generator) -> StudentSample:
    """Mirror, turn, colour, grey, blur, halving, JPEG."""
    image, mask = sample.image, sample.mask
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.15:
        image, mask = _turned(image, mask, float(rng.normal(0, 10)))
    if rng.random() < 0.6:
        image = jitter(image, rng, 0.3)
    if rng.random() < 0.06:
        image = greyed(image)
    if rng.random() < 0.12:
        image = blurred(np.ascontiguousarray(image), rng.uniform(0.3, 1.3))
    if rng.random() < 0.12:
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        image = cv2.resize(half, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        image = _jpeg(image, int(rng.integers(25, 85)))
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    return StudentSample(image, mask, sample.sure, sample.feature)


def _turned(image: Image, mask: Soft, degrees: float) -> tuple[Image, Soft]:
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    turned = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, (side, side), borderMode=cv2.BORDER_REFLECT
    )
    cover = cv2.warpAffine(
        np.ascontiguousarray(mask), matrix, (side, side), borderMode=cv2.BORDER_REFLECT
    )
    return turned, cover


def _jpeg(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return decoded
