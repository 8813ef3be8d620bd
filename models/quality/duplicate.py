"""Do two images show the same photo? Compares small thumbnails of pairs with similar hashes.

One thumbnail is aligned with the other (shift and scale along each axis, which undoes a crop), by
Gauss-Newton on the correlation: Evangelidis and Psarakis, "Parametric image alignment using
enhanced correlation coefficient maximization" (2008), with the roles of the two exchanged as in
Baker and Matthews, "Lucas-Kanade 20 years on" (2004). Then both are compared block by block,
without their coarse shading. A change of colours, compression or size leaves every block similar. A
watermark spoils a few blocks. Another shot of the same thing moves or turns something in most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

VERSION = "1"  # a change makes every stored image be measured and compared again
SIDE = 64  # px of a thumbnail
_HALF = SIDE // 2  # px at which it is aligned
_STEPS = ((2.0, 8), (0.8, 6))  # blur in px of the half size, Gauss-Newton steps
_FAR = 0.3  # scale or shift, of half a side; beyond it is another image (a crop of 15 %)
_AT_ONCE = 256  # pairs: some 50 MB of work
_BLOCK = 8
_DETAIL = (0.6, 4.0)  # px; finer than the first is noise, coarser than the second is shading
_NOISE = np.float32(0.3)  # variance, of 255²; blocks without detail agree with nothing
_ALIKE = 0.4  # correlation of 16x16 px; images below it need not be aligned
SAME = 0.82  # images with at least this similarity are duplicates; measured in docs/benchmarks.md

Floats = NDArray[np.float32]


def thumbnail(grey: NDArray[np.uint8]) -> bytes:
    """(H, W) uint8 of any size -> SIDE² bytes: the image, scaled to a square."""
    image = PIL.Image.fromarray(grey)
    return image.resize((SIDE, SIDE), PIL.Image.Resampling.BOX).tobytes()


def similarity(first: Sequence[bytes], second: Sequence[bytes]) -> Floats:
    """n pairs of thumbnails -> (n,) float32 in [0, 1]; duplicates have at least `SAME`.

    The order of a pair does not matter. Many pairs in one call are much faster than one by one.
    Raises ValueError if the numbers of first and second thumbnails differ.
    """
    pairs = [tuple(sorted(pair)) for pair in zip(first, second, strict=True)]
    found = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        here, there = (_pictures([pair[k] for pair in some]) for k in (0, 1))
        close = np.flatnonzero(_coarse(here, there))
        if len(close):
            found[start + close] = _agreement(here[close], there[close])
    found[[one == other for one, other in pairs]] = 1
    return found


def _coarse(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """The pairs that are similar enough, without alignment, for an exact comparison."""
    shape = (len(first), 16, SIDE // 16, 16, SIDE // 16)
    small = [_normal(images.reshape(shape).mean(axis=(2, 4))) for images in (first, second)]
    alike = (small[0][0] * small[1][0]).sum(axis=(1, 2)) >= _ALIKE
    flat = np.maximum(small[0][1], small[1][1])[:, 0, 0] < 16.0
    chosen: NDArray[np.bool_] = alike | flat
    return chosen


def _agreement(first: Floats, second: Floats) -> Floats:
    """Mean correlation of the blocks with detail, weighted by the detail of both."""
    over, by = aligned(first, second)
    both = _blocks(_detail(over)), _blocks(_detail(second))
    energy = [(blocks**2).mean(axis=2) for blocks in both]
    correlation = (both[0] * both[1]).mean(axis=2) / np.sqrt(
        (energy[0] + _NOISE) * (energy[1] + _NOISE)
    )
    weight = np.where(_covered(by), (energy[0] * energy[1]) ** 0.25, 0)
    total = weight.sum(axis=1)
    agreement = (correlation * weight).sum(axis=1) / np.maximum(total, 1e-6)
    agreement[np.abs(by).max(axis=1) > _FAR] = 0  # aligned with only a part: another image
    plain = (energy[0] + energy[1]).sum(axis=1) < 2 * _NOISE
    agreement[plain] = _as_plain(over, second)[plain]
    clipped: Floats = agreement.clip(0, 1).astype(np.float32)
    return clipped


def _as_plain(first: Floats, second: Floats) -> Floats:
    """Images without detail are the same if their shades are: 1 or 0."""
    same: Floats = (np.abs(first - second).max(axis=(1, 2)) < 8).astype(np.float32)
    return same


def aligned(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """(n, SIDE, SIDE) each -> `first` aligned with `second`; (n, 4): scale and shift of x, of y."""
    small, target = _halved(first), _halved(second)
    found = np.zeros((len(first), 4), np.float32)
    for blur, steps in _STEPS:
        found = _refine(_blurred(small, blur), _blurred(target, blur), found, steps)
    return _warped(first, found), found


def _refine(moving: Floats, fixed: Floats, found: Floats, steps: int) -> Floats:
    axis = _axis(_HALF)
    fixed, _ = _normal(fixed)
    down, right = np.gradient(fixed, axis=(1, 2))
    along = [right * axis, right, down * axis[:, None], down]
    slopes = np.stack([s.reshape(len(fixed), -1) for s in along], axis=2) * (_HALF / 2)
    slopes -= slopes.mean(axis=1, keepdims=True)
    for _ in range(steps):
        rest, _ = _normal(_warped(moving, found))
        rest = (rest - fixed).reshape(len(fixed), -1, 1)
        weights = _trust(rest) * _inside(found, _HALF).reshape(len(found), -1, 1)
        weighed = (slopes * weights).transpose(0, 2, 1)
        curvature = weighed @ slopes
        trace = np.trace(curvature, axis1=1, axis2=2)[:, None, None]
        curvature += (1e-3 * trace + 1e-6) * np.eye(4, dtype=np.float32)
        step = np.linalg.solve(curvature, weighed @ rest)[..., 0].clip(-0.1, 0.1)
        grown = (1 + found[:, ::2]) / (1 + step[:, ::2])
        moved = found[:, 1::2] - grown * step[:, 1::2]
        found = np.stack([grown[:, 0] - 1, moved[:, 0], grown[:, 1] - 1, moved[:, 1]], axis=1)
        found = found.clip(-1.1 * _FAR, 1.1 * _FAR).astype(np.float32)
    return found


def _trust(rest: Floats) -> Floats:
    """Lower for pixels that fit worse than most, such as a watermark (Cauchy weights)."""
    usual = np.median(np.abs(rest), axis=1, keepdims=True) * 3 + np.float32(1e-6)
    trust: Floats = (1 / (1 + (rest / usual) ** 2)).astype(np.float32)
    return trust


def _detail(images: Floats) -> Floats:
    fine, coarse = _DETAIL
    detail: Floats = _blurred(images, fine) - _blurred(images, coarse)
    return detail


def _blocks(images: Floats) -> Floats:
    """(n, SIDE, SIDE) -> (n, blocks, pixels), minus the mean of each block."""
    count = SIDE // _BLOCK
    cut = images.reshape(-1, count, _BLOCK, count, _BLOCK).transpose(0, 1, 3, 2, 4)
    blocks: Floats = cut.reshape(len(images), count * count, _BLOCK * _BLOCK)
    blocks -= blocks.mean(axis=2, keepdims=True)
    return blocks


def _covered(by: Floats) -> NDArray[np.bool_]:
    """(n, blocks): the blocks of the second image that the first one covers."""
    count = SIDE // _BLOCK
    blocks = _inside(by, SIDE).reshape(-1, count, _BLOCK, count, _BLOCK).mean(axis=(2, 4))
    covered: NDArray[np.bool_] = blocks.reshape(len(by), -1) > 0.6
    return covered


def _inside(by: Floats, side: int) -> NDArray[np.bool_]:
    """(n, side, side): the pixels of the second image that the first one covers."""
    across, down = (
        np.abs(_axis(side) * (1 + by[:, k, None]) + by[:, k + 1, None]) <= 1 for k in (0, 2)
    )
    inside: NDArray[np.bool_] = down[:, :, None] & across[:, None, :]
    return inside


def _pictures(thumbnails: Sequence[bytes]) -> Floats:
    joined = np.frombuffer(b"".join(thumbnails), np.uint8)
    return joined.reshape(-1, SIDE, SIDE).astype(np.float32)


def _warped(images: Floats, by: Floats) -> Floats:
    """Bilinear; outside, the border is repeated."""
    across, down = (
        _sampling(by[:, 0], by[:, 1], images.shape[2]),
        _sampling(by[:, 2], by[:, 3], images.shape[1]),
    )
    warped: Floats = (down @ images @ across.transpose(0, 2, 1)).astype(np.float32, copy=False)
    return warped


def _sampling(scale: Floats, shift: Floats, side: int) -> Floats:
    """(n, side, side): each row holds the two weights of one sampled position."""
    middle = (side - 1) / 2
    at = (_axis(side) * (1 + scale[:, None]) + shift[:, None]) * (side / 2) + middle
    at = at.clip(0, side - 1)
    low = np.minimum(at.astype(np.intp), side - 2)
    weights = np.zeros((len(scale), side, side), np.float32)
    row, column = np.arange(len(scale))[:, None], np.arange(side)[None]
    weights[row, column, low] = 1 - (at - low)
    weights[row, column, low + 1] = at - low
    return weights


def _axis(side: int) -> Floats:
    """Pixel centres, -1..1."""
    return ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)


def _normal(images: Floats) -> tuple[Floats, Floats]:
    """Mean 0, length 1; flat ones stay near 0."""
    images = images - images.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((images**2).sum(axis=(1, 2), keepdims=True)) + np.float32(1.0)
    return images / length, length


def _blurred(images: Floats, sigma: float) -> Floats:
    blurred: Floats = gaussian_filter(images, (0, sigma, sigma), mode="nearest", truncate=2.5)
    return blurred


def _halved(images: Floats) -> Floats:
    halved: Floats = images.reshape(len(images), _HALF, 2, _HALF, 2).mean(axis=(2, 4))
    return halved
