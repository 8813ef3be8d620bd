"""A soft cut-out from a hard mask: opacity that follows the picture's edges, and distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Resampling
from scipy import ndimage

from models.base import Image, Mask, Probability

_CRUMB = 0.01  # parts and holes smaller than this fraction of the object are mistakes
_EDGE = 1e-3  # variance of luminance in [0, 1] under which the guided filter only smooths
REVISION = 1
FAR = 1e4  # px; the distance where there is no contour at all


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """The object of an image. Pixels are scaled by `unit` to look alike at any size."""

    alpha: Probability  # (H, W) in [0, 1]; 1 inside
    distance: NDArray[np.float32]  # (H, W) px to the contour; negative inside, positive outside
    unit: float  # 1.0 when the short side is 1080 px

    @property
    def layer(self) -> PIL.Image.Image:
        """`alpha` as mode L."""
        return to_layer(self.alpha)

    def within(self, distance: float, soft: float = 1.0) -> PIL.Image.Image:
        """Mode L: 255 up to `distance` (in units) from the contour, fading over `soft` units."""
        # An edge narrower than a pixel would show steps.
        ramp = max(soft * self.unit, 1.0)
        return to_layer((distance * self.unit - self.distance) / ramp + 0.5)


def matte(image: Image, mask: Mask) -> Matte:
    """Tidy the mask and soften its edge. (H, W, 3) uint8, (H, W) bool with at least one True."""
    height, width = mask.shape
    unit = min(height, width) / 1080
    step = max(1, round(4 * unit))  # contours are smoothed over about this many pixels
    small = _tidy(_coarse(mask, step) >= 0.5)
    signed = _signed_distance(small) * step
    distance = _enlarge(signed, width, height)
    alpha = _guided(image, mask, distance, step, unit)
    return Matte(alpha, distance, unit)


def to_layer(values: NDArray[np.floating[Any]]) -> PIL.Image.Image:
    """(H, W) float, clipped to [0, 1] -> mode L."""
    scaled = values * np.float32(255)
    scaled += np.float32(0.5)
    np.clip(scaled, 0, 255, out=scaled)
    return PIL.Image.fromarray(scaled.astype(np.uint8))


def _coarse(mask: Mask, step: int) -> Probability:
    layer = PIL.Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    return np.asarray(layer.reduce(step), dtype=np.float32) / np.float32(255)


def _tidy(mask: Mask) -> Mask:
    """Drop crumbs and fill pinholes, but never the only part there is."""
    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        mask = (sizes >= _CRUMB * sizes.sum())[parts]
    holes, count = ndimage.label(~mask)
    sizes = np.bincount(holes.ravel())
    sizes[0] = 0
    filled: Mask = mask | (sizes < _CRUMB * mask.sum())[holes]
    return filled


def _signed_distance(mask: Mask) -> NDArray[np.float32]:
    if not mask.any():
        return np.full(mask.shape, FAR, dtype=np.float32)
    if mask.all():
        return np.full(mask.shape, -FAR, dtype=np.float32)
    outside = ndimage.distance_transform_edt(~mask).astype(np.float32)
    inside = ndimage.distance_transform_edt(mask).astype(np.float32)
    # Half a pixel brings the two to zero on the contour; blurring takes the steps out of it.
    signed = np.where(mask, 0.5 - inside, outside - 0.5)
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(signed, 2.0, truncate=2.0)
    return smooth


def _guided(
    image: Image, mask: Mask, distance: NDArray[np.float32], step: int, unit: float
) -> Probability:
    """Opacity that snaps to edges of the picture: a guided filter (He et al.), near the contour."""
    guide_layer = PIL.Image.fromarray(image).convert("L")
    guide: Probability = np.asarray(guide_layer.reduce(step), dtype=np.float32) / np.float32(255)
    target = _coarse(mask, step)
    mean_guide, mean_target = _mean(guide), _mean(target)
    variance = _mean(guide * guide) - mean_guide * mean_guide
    slope = (_mean(guide * target) - mean_guide * mean_target) / (variance + np.float32(_EDGE))
    offset = mean_target - slope * mean_guide

    # Away from the contour the mask is trusted, which also keeps the work to a narrow band.
    reach = max(8 * unit, 1.0)
    alpha = (distance < 0).astype(np.float32)
    band = np.flatnonzero(np.abs(distance) < reach)
    places = (np.stack(np.divmod(band, mask.shape[1])) + 0.5) / step - 0.5
    near = ndimage.map_coordinates(_mean(slope), places, order=1, mode="nearest")
    near *= np.asarray(guide_layer).ravel()[band].astype(np.float32) / np.float32(255)
    near += ndimage.map_coordinates(_mean(offset), places, order=1, mode="nearest")
    near = (near - 0.5) * 1.8 + 0.5  # the filter leaves veils of texture; steeper has fewer
    certain = distance.ravel()[band] / -reach
    alpha.ravel()[band] = np.clip(np.clip(near, certain, certain + 1), 0, 1)
    return alpha


def _mean(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    blurred: NDArray[np.float32] = ndimage.uniform_filter(values, 5)
    return blurred


def _enlarge(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    layer = PIL.Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.array(layer.resize((width, height), Resampling.BILINEAR))
