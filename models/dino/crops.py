"""Photos → the crops, and hidden patches, of a step. The same for the same seed and step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pil
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.base import Image
from models.dino.recipe import DinoRecipe
from models.images.opacity import on_white
from models.training.augment import blurred, greyed, jitter, random_crop, solarised, to_batch

HIDE = (0.1, 0.5)  # share of a picture's patches that are hidden, when any are


class Batch(NamedTuple):
    large: Tensor  # (2, B, 3, G, G) float32 in [0, 1]
    small: Tensor  # (locals, B, 3, S, S)
    hidden: Tensor  # (2, B, patches) bool; of each photo's large crops, one has hidden patches

    def split(self, parts: int) -> list[Batch]:
        return [Batch(*chunk) for chunk in zip(*(x.chunk(parts, 1) for x in self), strict=True)]

    def to(self, device: torch.device) -> Batch:
        return Batch(*(x.to(device, non_blocking=True) for x in self))


def load_photos(paths: Iterable[Path], short_side: int = 144) -> list[Image]:
    """RGB, reduced to the short side. ValueError names a file that is no photo."""
    images = []
    for path in paths:
        try:
            with Pil.open(path) as photo:
                rgb = on_white(photo)
        except (OSError, SyntaxError, ValueError, Pil.DecompressionBombError) as error:
            raise ValueError(f"{path} cannot be read as a photo: {error}") from error
        factor = min(1.0, short_side / min(rgb.size))
        size = (max(1, round(rgb.width * factor)), max(1, round(rgb.height * factor)))
        images.append(np.asarray(rgb.resize(size, Pil.Resampling.BILINEAR)))
    return images


def demand_variety(images: list[Image]) -> None:
    """ValueError when there is nothing to tell apart."""
    if len(images) < 2:
        raise ValueError(f"DINO needs several different photos, not {len(images)}")
    first = images[0]
    if all(image.shape == first.shape and np.array_equal(image, first) for image in images[1:]):
        raise ValueError(f"DINO needs several different photos: all {len(images)} are the same")


def distort(image: Image, rng: np.random.Generator, blur: float, solarise: float) -> Image:
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    if rng.random() < 0.8:
        image = jitter(image, rng)
    if rng.random() < 0.2:
        image = greyed(image)
    if rng.random() < blur:
        image = blurred(image, rng.uniform(0.1, 1.5))
    if rng.random() < solarise:
        image = solarised(image)
    return image


def hide_blocks(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """(side, side) bool: rectangles that hide 10–50 % of the patches, at least one.

    Bao et al., "BEiT: BERT pre-training of image transformers", ICLR 2022, section 2.3.
    """
    hidden = np.zeros((side, side), bool)
    wanted = max(1, round(rng.uniform(*HIDE) * side * side))
    while hidden.sum() < wanted:
        area = rng.uniform(1, max(1, wanted - int(hidden.sum())))
        ratio = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
        rows = int(np.clip(round(float(np.sqrt(area * ratio))), 1, side))
        columns = int(np.clip(round(float(np.sqrt(area / ratio))), 1, side))
        top, left = rng.integers(side - rows + 1), rng.integers(side - columns + 1)
        hidden[top : top + rows, left : left + columns] = True
    return hidden


def draw(
    images: list[Image], recipe: DinoRecipe, step: int, rank: int = 0, processes: int = 1
) -> Batch:
    """The share of process `rank` in the batch of `step`.

    Every photo of a batch has random numbers of its own, so that it is cropped alike however many
    processes share the work.
    """
    chosen = np.random.default_rng((recipe.seed, step)).integers(len(images), size=recipe.batch)
    each = recipe.batch // processes
    large: list[list[Image]] = [[], []]
    small: list[list[Image]] = [[] for _ in range(recipe.locals)]
    side = recipe.global_side // recipe.patch
    hidden = np.zeros((2, each, side * side), bool)
    for place in range(each):
        number = rank * each + place
        rng = np.random.default_rng((recipe.seed, step, number))
        image = images[chosen[number]]
        for view, chances in enumerate(((1.0, 0.0), (0.1, 0.2))):
            crop = random_crop(image, rng, recipe.global_side, (0.35, 1.0))
            large[view].append(distort(crop, rng, *chances))
        for crops in small:
            crop = random_crop(image, rng, recipe.local_side, (0.08, 0.35))
            crops.append(distort(crop, rng, 0.5, 0.0))
        if recipe.ibot:
            hidden[rng.integers(2), place] = hide_blocks(rng, side).ravel()
    return Batch(
        torch.from_numpy(np.stack([to_batch(crops) for crops in large])),
        torch.from_numpy(np.stack([to_batch(crops) for crops in small]))
        if small
        else torch.zeros(0, each, 3, recipe.local_side, recipe.local_side),
        torch.from_numpy(hidden),
    )


@dataclass(frozen=True)
class Steps(Dataset[Batch]):
    """Batch by step."""

    images: list[Image]
    recipe: DinoRecipe
    rank: int
    processes: int

    def __getitem__(self, step: int) -> Batch:
        return draw(self.images, self.recipe, step, self.rank, self.processes)


def batches(steps: Steps, first: int, *, workers: int, pin: bool) -> Iterator[Batch]:
    """All batches from step `first` on, cut in advance by `workers` processes; 0: by this one."""
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=range(first, steps.recipe.steps),
        num_workers=workers,
        worker_init_fn=_one_thread,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
    )
    yield from loader


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
