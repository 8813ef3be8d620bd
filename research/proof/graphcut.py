"""Graphs of a picture's cells, cut in two: by colour, and by colour and what a ViT sees.

Shi and Malik, "Normalized cuts and image segmentation", PAMI 2000, on the cells of a grid; with
keys, the graph of TokenCut is added to it. A cut knows no centre; `seeded` begins from one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.base import Image, Mask
from models.dino.ncut import FAINT, Keys, Weights, affinity, bipartition

COLOUR = 6.0  # Lab units: cells so far apart in colour are half strangers
NEAR = 0.3  # of the picture's side: likewise in place


def colour_mask(image: Image, cells: int = 16) -> Mask:
    """(H, W, 3) uint8 → (H, W): the object by colour alone, on cells × cells."""
    return spread(bipartition(colour_affinity(image, cells), cells, cells), image)


def graph_mask(image: Image, keys: Keys, cells: int) -> Mask:
    """(H, W): the object by colour and by `keys` (cells², d), row by row."""
    weights = (colour_affinity(image, cells) + affinity(keys)) / 2
    return spread(bipartition(weights, cells, cells), image)


def seeded_mask(image: Image, keys: Keys | None, cells: int) -> Mask:
    """(H, W): what is nearer, through the graph, to the middle of the picture than to its border.

    Grady, "Random walks for image segmentation", PAMI 2006. Without `keys` by colour alone.
    """
    weights = colour_affinity(image, cells)
    if keys is not None:
        weights = (weights + affinity(keys)) / 2
    return spread(walk(weights, cells) > 0.5, image)


def walk(weights: Weights, cells: int) -> NDArray[np.float64]:
    """(cells, cells): how probably a walk from a cell meets the middle before the border."""
    rows, columns = np.mgrid[:cells, :cells] / (cells - 1)
    inner = (np.abs(columns - 0.5) < 0.06) & (np.abs(rows - 0.5) < 0.32)
    outer = (np.abs(columns - 0.5) > 0.49) | ((rows < 0.01) & (np.abs(columns - 0.5) > 0.2))
    known, free = (inner | outer).ravel(), ~(inner | outer).ravel()
    met = inner.ravel().astype(np.float64)
    laplacian = np.diag(weights.sum(1)) - weights
    met[free] = np.linalg.solve(
        laplacian[np.ix_(free, free)], weights[np.ix_(free, known)] @ met[known]
    )
    found: NDArray[np.float64] = met.reshape(cells, cells)
    return found


def colour_affinity(image: Image, cells: int) -> Weights:
    """(T, T) in (0, 1], T = cells²: nearness in Lab times nearness in the picture."""
    lab = cell_colours(image, cells).astype(np.float64)
    rows, columns = np.divmod(np.arange(cells * cells), cells)
    place = np.stack([rows, columns], 1) / cells
    apart = squared(lab) / (2 * COLOUR**2) + squared(place) / (2 * NEAR**2)
    return np.maximum(np.exp(-apart), FAINT)


def cell_colours(image: Image, cells: int) -> NDArray[np.float32]:
    """(cells², 3) mean Lab, L in 0..100."""
    small = cv2.resize(image, (cells, cells), interpolation=cv2.INTER_AREA)
    lab: NDArray[np.float32] = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab.reshape(-1, 3)


def squared(points: NDArray[np.float64]) -> Weights:
    """(T, T) squared distances."""
    apart: Weights = ((points[:, None] - points[None]) ** 2).sum(-1)
    return apart


def spread(mask: Mask, image: Image) -> Mask:
    """A mask of cells at the size of the picture, its corners rounded."""
    size = image.shape[1::-1]
    full = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    found: Mask = full > 0.5
    return found
