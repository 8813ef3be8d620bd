"""GrabCut (Rother et al., SIGGRAPH 2004): from a centred rectangle, or from a coarse mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.base import Image, Mask

LONG_SIDE = 256  # GrabCut works at this size
ITERATIONS = 5
UNSURE = 0.04  # of the long side: so near to its border a coarse mask is not trusted

Labels = NDArray[np.uint8]  # (H, W), OpenCV's four: sure or probable background or foreground


def grabcut(image: Image, margins: tuple[float, float]) -> Mask:
    """Foreground of a rectangle that leaves `margins` (left and right, top and bottom) free."""
    small = reduced(image)
    labels = rectangle(small.shape[:2], margins, cv2.GC_PR_FGD)
    return enlarged(keep_central(cut(small, labels)), image)


def grabcut_from(image: Image, coarse: Mask) -> Mask:
    """`coarse` (H, W) with its border moved to the picture's edges; as it is when that fails.

    What lies well inside or outside of it is taken as given.
    """
    small = reduced(image)
    mask = cv2.resize(coarse.astype(np.uint8), small.shape[1::-1]) > 0
    reach = max(1, round(UNSURE * max(mask.shape)))
    inner = ndimage.binary_erosion(mask, iterations=reach)
    outer = ndimage.binary_dilation(mask, iterations=2 * reach)
    labels = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inner], labels[~outer] = cv2.GC_FGD, cv2.GC_BGD
    if not mask.any() or mask.all():
        return coarse
    found = cut(small, labels)
    return enlarged(found, image) if found.any() else coarse


def grabcut_guided(image: Image, coarse: Mask, margins: tuple[float, float]) -> Mask:
    """As `grabcut`, but what `coarse` (H, W) leaves out of the rectangle starts as background."""
    small = reduced(image)
    mask = cv2.resize(coarse.astype(np.uint8), small.shape[1::-1]) > 0
    labels = rectangle(small.shape[:2], margins, cv2.GC_PR_BGD)
    labels[mask & (labels == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    if not (labels == cv2.GC_PR_FGD).any():
        return grabcut(image, margins)
    return enlarged(keep_central(cut(small, labels)), image)


def rectangle(shape: tuple[int, ...], margins: tuple[float, float], inside: int) -> Labels:
    """Background around, `inside` within."""
    rows, columns = shape
    x, y = round(columns * margins[0]), round(rows * margins[1])
    labels = np.full((rows, columns), cv2.GC_BGD, np.uint8)
    labels[y : rows - y, x : columns - x] = inside
    return labels


def cut(small: Image, labels: Labels) -> Mask:
    """Foreground after some iterations from `labels`, which hold both kinds. The same each time.

    All of the background when a kind is missing.
    """
    background = np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if background.all() or not background.any():
        return np.zeros(labels.shape, bool)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr, labels = np.ascontiguousarray(small[..., ::-1]), labels.copy()
    cv2.grabCut(bgr, labels, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


def reduced(image: Image) -> Image:
    factor = min(1.0, LONG_SIDE / max(image.shape[:2]))
    small: Image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return small


def enlarged(mask: Mask, image: Image) -> Mask:
    size = image.shape[1::-1]
    full = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    found: Mask = full.astype(bool)
    return found


def keep_central(mask: Mask) -> Mask:
    """Components of at least a fifth of the largest whose box meets the middle half."""
    smooth = ndimage.binary_opening(mask, iterations=1)
    labels, count = ndimage.label(smooth)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = np.zeros(count + 1, bool)
    quarter = labels.shape[1] // 4
    for number, (_, columns) in enumerate(ndimage.find_objects(labels), start=1):
        central = columns.start < 3 * quarter and columns.stop > quarter
        keep[number] = central and sizes[number] >= sizes.max() / 5
    filled: Mask = ndimage.binary_fill_holes(keep[labels])
    return filled
