"""A mask from points and a box: what in the picture looks like what they show.

Every patch is compared with the patches under the points (cosine of features). What is more like
the points on the object than like those beside it belongs to it. Where the points agree with what
the network finds by itself, that counts as well; at last, the mask is moved to the picture's edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.base import Image, Mask, Probability, Prompt
from models.images.guided import stretch
from models.segment.guided import refine
from models.segment.patches import Patches
from models.segment.tidy import tidy

Plane = NDArray[np.float32]

SHARPNESS = 6.0  # of the step from background to object, per unit of cosine
TRUST = 2.0  # in the network's own mask, where the points agree with it
NEAR = 0.12  # of the longer side: how far a point's own place counts beside its looks
REACH = 0.15  # of the longer side: how far a point beside the object tells what is not the object
PULL = 3.0  # how much, at the point itself
GRID = 64  # a side of the plane on which all of it is added up
GAP = 0.01  # of the longer side: parts that are no farther apart are one object
LEAST = 0.1  # of a box, from which the network's own mask in it is what the box shows
SURE = 4.0  # the largest logit of the network's own mask


def similar(patches: Patches, image: Image, prompt: Prompt) -> Mask:
    """(H, W) bool. `prompt` in pixels of `image`; ValueError as `Prompt.check`."""
    height, width = image.shape[:2]
    prompt.check(width, height)
    size = np.array([width, height], float)
    points, away = (
        np.array(some, float).reshape(-1, 2) / size for some in (prompt.points, prompt.away)
    )
    inside = _box(prompt, width, height)
    own = logits(stretch(patches.own, (GRID, GRID)))
    seen = _looks(patches, points, away, inside, (width, height))
    near = _places(points, (width, height)) - _places(away, (width, height))
    trust = TRUST * _agreement(own, points, away, inside)
    total = seen + PULL * near + trust * own
    total[inside < 0.5] = -SURE * 2
    probability = refine(1 / (1 + np.exp(-total)), image)
    if prompt.box is not None:
        left, top, right, bottom = (round(value) for value in prompt.box)
        kept = np.zeros_like(probability)
        kept[top:bottom, left:right] = probability[top:bottom, left:right]
        probability = kept
    return _reached(tidy(probability > 0.5), prompt)


def logits(probability: Probability) -> Plane:
    """Within ± SURE."""
    edge = float(1 / (1 + np.exp(SURE)))
    clipped = probability.clip(edge, 1 - edge)
    found: Plane = np.log(clipped / (1 - clipped)).astype(np.float32)
    return found


def _looks(
    patches: Patches, points: Plane, away: Plane, inside: Plane, size: tuple[int, int]
) -> Plane:
    """(GRID, GRID): positive where a place looks more like the object."""
    grid = patches.features.shape[0]
    flat = patches.features.reshape(grid * grid, -1)
    within = stretch(inside, (grid, grid)).ravel() > 0.5
    own = stretch(patches.own, (grid, grid)).ravel()
    on = [_at(patches.features, point) for point in points]
    if not on:  # only a box: what the network finds in it, else its middle
        weights = np.where(within, own, 0)
        weights = weights if weights.sum() > 1 else within.astype(np.float32)
        on = [_unit(weights @ flat)]
    off = [_at(patches.features, point) for point in away]
    if not within.all():
        off.append(_unit(flat[~within].mean(axis=0)))
    like = np.max([flat @ one for one in on], axis=0)
    unlike = np.full(len(flat), -1.0)
    for one, reach in zip(off, _reaches(away, size, grid, len(off)), strict=True):
        unlike = np.maximum(unlike, (flat @ one + 1) * reach - 1)
    middle = (like.max() + np.median(like)) / 2  # between the object and all the rest
    score = SHARPNESS * (like - np.maximum(unlike, middle))
    return stretch(score.reshape(grid, grid), (GRID, GRID))


def _reaches(away: Plane, size: tuple[int, int], grid: int, count: int) -> list[Plane]:
    """How far each patch heeds what is not the object: a point counts around it, the rest of the
    picture everywhere."""
    rows, columns = (np.mgrid[:grid, :grid] + 0.5) / grid
    width, height = np.array(size) / max(size)
    found = [
        np.exp(
            -(((columns - x) * width) ** 2 + ((rows - y) * height) ** 2) / (2 * REACH**2)
        ).ravel()
        for x, y in away
    ]
    return found + [np.ones(grid * grid)] * (count - len(found))


def _agreement(own: Plane, points: Plane, away: Plane, inside: Plane) -> float:
    """1: the network's own mask has every point on its right side; 0: none, or none of it is in
    the box."""
    if not len(points) and (own[inside > 0.5] > 0).mean() < LEAST:
        return 0.0
    right = [_value(own, point) > 0 for point in points] + [
        _value(own, point) < 0 for point in away
    ]
    return float(np.mean(right)) if right else 1.0


def _places(points: Plane, size: tuple[int, int]) -> Plane:
    """(GRID, GRID) in [0, 1]: 1 at the points."""
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5) / GRID
    width, height = np.array(size) / max(size)
    found = np.zeros((GRID, GRID))
    for x, y in points:
        squared = ((columns - x) * width) ** 2 + ((rows - y) * height) ** 2
        found = np.maximum(found, np.exp(-squared / (2 * (NEAR / 2) ** 2)))
    plane: Plane = found.astype(np.float32)
    return plane


def _box(prompt: Prompt, width: int, height: int) -> Plane:
    """(GRID, GRID): 1 in the box, and everywhere without one."""
    if prompt.box is None:
        return np.ones((GRID, GRID), np.float32)
    left, top, right, bottom = prompt.box
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5) / GRID * np.array([height, width])[:, None, None]
    inside = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    plane: Plane = inside.astype(np.float32)
    return plane


def _reached(mask: Mask, prompt: Prompt) -> Mask:
    """The parts with a point on them, and what all but touches them; a point on no part counts for
    nothing."""
    gap = 2 * max(1, round(GAP * max(mask.shape))) + 1
    parts, _ = ndimage.label(ndimage.maximum_filter(mask, gap))
    parts = np.where(mask, parts, 0)
    hit = {int(parts[int(y), int(x)]) for x, y in prompt.points} - {0}
    found: Mask = np.isin(parts, list(hit)) if hit else mask
    return found


def _at(features: Plane, point: Plane) -> Plane:
    """The feature at a place in shares of the sides, between the nearest four, of length 1."""
    grid = features.shape[0]
    x, y = (point * grid - 0.5).clip(0, grid - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, grid - 1), min(top + 1, grid - 1)
    a, b = x - left, y - top
    upper = (1 - a) * features[top, left] + a * features[top, right]
    lower = (1 - a) * features[bottom, left] + a * features[bottom, right]
    return _unit((1 - b) * upper + b * lower)


def _value(plane: Plane, point: Plane) -> float:
    column, row = (point * plane.shape[0]).astype(int).clip(0, plane.shape[0] - 1)
    return float(plane[row, column])


def _unit(vector: Plane) -> Plane:
    found: Plane = (vector / max(float(np.linalg.norm(vector)), 1e-6)).astype(np.float32)
    return found
