"""A coarse mask, made precise by a network that answers prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from models.base import Image, Mask, Prompt, Prompter, Segmentation, Segmenter
from models.segment.tidy import REVISION, tidy

POINTS = 3  # at most, inside the coarse mask
AGREED = 0.5  # IoU with the coarse mask from which an answer is about the same object
QUALITY = 0.5  # the network's own estimate of its mask's IoU, below which it is not believed


class Refined:
    """A segmenter whose masks are asked for again, by box and points.

    The coarse mask stays when it is empty, and when every answer is empty, doubtful, or about
    something else. Confidence and embedding are the coarse segmenter's.
    """

    def __init__(self, coarse: Segmenter, prompter: Prompter) -> None:
        self.version = f"{coarse.version}+{prompter.version}.{REVISION}"
        self._coarse, self._prompter = coarse, prompter

    def __call__(self, image: Image) -> Segmentation:
        found = self._coarse(image)
        if not found.mask.any():
            return found
        for answer in self._prompter(image, prompt_of(found.mask)):
            mask = tidy(answer.probability > 0.5)
            if answer.quality >= QUALITY and iou(mask, found.mask) >= AGREED:
                return replace(found, probability=answer.probability, mask=mask)
        return found


def prompt_of(mask: Mask) -> Prompt:
    """(H, W) bool, not empty → the box around it, and its innermost points, wide apart."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deepest = float(depth.max())
    points: list[tuple[float, float]] = []
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    while len(points) < POINTS and depth.max() > deepest / 2:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        points.append((float(column) + 0.5, float(row) + 0.5))
        depth[(y - row) ** 2 + (x - column) ** 2 <= (2 * deepest) ** 2] = 0
    return Prompt(tuple(points), box)


def iou(one: Mask, other: Mask) -> float:
    """0 for two empty masks."""
    return float((one & other).sum() / max(1, (one | other).sum()))
