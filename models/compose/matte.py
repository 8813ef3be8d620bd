"""A soft cut-out from a hard mask: opacity as fine as the picture, its own colours, distance.

Near the contour the picture decides. Colours well inside and well outside are carried to it, and a
pixel is object as far as its own colour lies on the way from one to the other; a guided filter
makes of that an opacity with the detail of the picture. Where the two colours are alike, which says
nothing, the smoothed contour stays. The same colours say what an edge pixel would look like
without its background, so that no rim of the old surroundings goes along to the new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

from models.base import Image, Mask, Probability
from models.images.guided import between, coefficients, stretch

Field = NDArray[np.float32]

REVISION = 2
FAR = 1e4  # px; the distance where there is no contour at all
WITHIN, BEYOND = 9, 14  # units: how far from the contour the picture may still decide
EDGE = 3.0  # units over which the contour fades where the picture says nothing
ALIKE = 0.012  # squared distance of two colours in [0, 1]³ that are half believed
STRANGE = 0.012  # the same, of a colour to the way between the two
STEEPER = 1.3  # the filter leaves veils; a steeper opacity has fewer
RADIUS, SOFTNESS = 3, 4e-4  # of the guided filter, at the coarse size
_CRUMB = 0.01  # parts and holes smaller than this fraction of the object are mistakes


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """The object of an image. Pixels are scaled by `unit` to look alike at any size."""

    alpha: Probability  # (H, W) in [0, 1]; 1 inside
    distance: Field  # (H, W) px to the contour; negative inside, positive outside
    unit: float  # 1.0 when the short side is 1080 px
    colours: Image  # (H, W, 3): the photo, with colours of the object alone along the edge

    @property
    def layer(self) -> PIL.Image.Image:
        """`alpha` as mode L."""
        return to_layer(self.alpha)

    @property
    def cutout(self) -> PIL.Image.Image:
        """`colours` as a Pillow image, to be laid over something by `layer`."""
        return PIL.Image.fromarray(self.colours)

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
    distance = stretch(signed, (width, height))
    alpha = np.asarray(distance < 0, dtype=np.float32)
    band = np.flatnonzero((distance > -WITHIN * unit - 1) & (distance < BEYOND * unit + 1))
    if not band.size:
        return Matte(alpha, distance, unit, image)
    near = _Near(image, band, signed, step, unit)
    share = near.share(distance.ravel()[band])
    alpha.ravel()[band] = ((share - 0.5) * STEEPER + 0.5).clip(0, 1)
    colours = image.copy()
    colours.reshape(-1, 3)[band] = near.freed(share)
    return Matte(alpha, distance, unit, colours)


class _Near:
    """What the picture says in the band along the contour: found coarsely, told pixel by pixel."""

    def __init__(
        self, image: Image, band: NDArray[np.intp], signed: Field, step: int, unit: float
    ) -> None:
        self._unit = unit
        self._pixels = image.reshape(-1, 3)[band].astype(np.float32) / np.float32(255)
        reduced = PIL.Image.fromarray(image).reduce(step)
        self._guide = np.asarray(reduced, dtype=np.float32) / np.float32(255)
        self._signed = signed
        inside = np.clip(-signed / (WITHIN * unit), 0, 1) ** 2
        outside = np.clip(signed / (BEYOND * unit), 0, 1) ** 2
        self._object = _carried(self._guide, inside + np.float32(1e-4) * (signed < 0))
        self._around = _carried(self._guide, outside + np.float32(1e-4) * (signed >= 0))
        planes = coefficients(self._guide, self._believed(), RADIUS, SOFTNESS)
        coarse = np.dstack([*planes, self._object, self._around])
        self._fine = between(coarse, band, image.shape[1], (step, step))

    def _believed(self) -> Field:
        """Coarse opacity: by colour as far as that can be told, else by the contour."""
        way = self._object - self._around
        length = (way * way).sum(axis=2)
        share = ((self._guide - self._around) * way).sum(axis=2) / (length + np.float32(1e-6))
        share = share.clip(0, 1)
        off = self._guide - self._around - share[..., None] * way
        belief = length / (length + np.float32(ALIKE))
        belief *= np.exp((off * off).sum(axis=2) * np.float32(-1 / STRANGE))
        plain = _ramp(self._signed, self._unit)
        return _bounded(plain + belief * (share - plain), self._signed, self._unit)

    def share(self, distance: Field) -> Field:
        """How much of each pixel in the band is the object's."""
        found = self._fine[:, 3].copy()
        for channel in range(3):
            found += self._fine[:, channel] * self._pixels[:, channel]
        return _bounded(found, distance, self._unit)

    def freed(self, alpha: Field) -> Image:
        """(n, 3): the object's own colours in the band (blur fusion, after Forte)."""
        front, back, share = self._fine[:, 4:7], self._fine[:, 7:], alpha[:, None]
        # What the two estimates leave unexplained belongs to the object as far as it is opaque.
        own = front + share * (self._pixels - share * front - (1 - share) * back)
        own *= np.float32(255)
        freed: Image = own.clip(0, 255).astype(np.uint8)
        return freed


def to_layer(values: NDArray[np.floating[Any]]) -> PIL.Image.Image:
    """(H, W) float, clipped to [0, 1] -> mode L."""
    scaled = values * np.float32(255)
    scaled += np.float32(0.5)
    np.clip(scaled, 0, 255, out=scaled)
    return PIL.Image.fromarray(scaled.astype(np.uint8))


def _ramp(distance: Field, unit: float) -> Field:
    ramp: Field = np.clip(0.5 - distance / max(EDGE * unit, 1.0), 0, 1).astype(np.float32)
    return ramp


def _bounded(alpha: Field, distance: Field, unit: float) -> Field:
    """Opacity that is sure to be 1 and 0 at the two ends of the band."""
    surely = np.clip(2 * distance / (-WITHIN * unit) - 1, 0, 1)
    surely_not = np.clip(2 * distance / (BEYOND * unit) - 1, 0, 1)
    bounded: Field = np.clip(alpha, surely, 1 - surely_not).astype(np.float32)
    return bounded


def _carried(colours: NDArray[np.float32], weight: Field) -> NDArray[np.float32]:
    """The colours where there is weight, carried to where there is none: first from near by."""
    planes = np.stack([*(colours * weight[..., None]).transpose(2, 0, 1), weight])
    near = ndimage.uniform_filter(planes, (0, 5, 5), mode="nearest")
    if max(weight.shape) <= 4:
        return _divided(near + np.float32(1e-9) * planes.mean(axis=(1, 2), keepdims=True))
    far = _carried(*_thirds(colours, weight))
    size = (weight.shape[1], weight.shape[0])
    behind = np.stack([stretch(far[..., channel], size) for channel in range(3)])
    near[:3] += np.float32(1e-2) * behind
    near[3] += np.float32(1e-2)
    return _divided(near)


def _thirds(colours: NDArray[np.float32], weight: Field) -> tuple[NDArray[np.float32], Field]:
    """At a third of the size; colours by their weight."""
    height, width = weight.shape
    pad = ((0, -height % 3), (0, -width % 3))
    heavy = np.pad(weight, pad)
    blocks = (heavy.shape[0] // 3, 3, heavy.shape[1] // 3, 3)
    total = heavy.reshape(blocks).mean(axis=(1, 3))
    summed = np.pad(colours * weight[..., None], (*pad, (0, 0))).reshape(*blocks, 3)
    return summed.mean(axis=(1, 3)) / np.maximum(total, 1e-9)[..., None], total


def _divided(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three weighted colours and their weight, (4, H, W) -> (H, W, 3)."""
    return np.moveaxis(planes[:3] / np.maximum(planes[3], np.float32(1e-12)), 0, 2)


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


def _signed_distance(mask: Mask) -> Field:
    if not mask.any():
        return np.full(mask.shape, FAR, dtype=np.float32)
    if mask.all():
        return np.full(mask.shape, -FAR, dtype=np.float32)
    outside = ndimage.distance_transform_edt(~mask).astype(np.float32)
    inside = ndimage.distance_transform_edt(mask).astype(np.float32)
    # Half a pixel brings the two to zero on the contour; blurring takes the steps out of it.
    signed = np.where(mask, 0.5 - inside, outside - 0.5)
    smooth: Field = ndimage.gaussian_filter(signed, 1.5, truncate=2.0)
    return smooth
