"""Which part of a photo, or how much more than it, a canvas shows: never less than the object.

A window is a box in the photo's pixels with the shape of the canvas. It may reach beyond the photo;
what lies there is painted by the style. Where the photo's own frame cuts the object, the window
ends, too: an arm that ends in the middle of a picture looks torn off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL import ImageFilter
from PIL.Image import Resampling

from models.base import Image, Mask

REVISION = 1
ZOOM = 1.6  # at most; more would show the pixels
SHARE = 0.84  # of the canvas that an object set free may fill, in either direction
AIR = 0.03  # of the photo's side, around an object in its own surroundings
CUT = 0.01  # of a side that an object must touch to be cut by it
_BLUR = 24  # the margin is blurred at this fraction of the canvas


@dataclass(frozen=True, slots=True)
class Window:
    """In pixels of the photo; may reach beyond it."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Span:
    """One direction of the object in its photo."""

    side: int  # of the photo, px
    low: int  # of the object
    high: int
    cut_low: bool  # by the photo's frame
    cut_high: bool

    def place(self, length: float, *, air: float, free: bool) -> float:
        """Where a window of this length begins."""
        if self.cut_low and self.cut_high:
            return (self.side - length) / 2 if length <= self.side else 0.5 * (self.side - length)
        if self.cut_low:
            return 0.0
        if self.cut_high:
            # What is cut below may be cut higher, if only that shows the upper end.
            start = self.side - length
            return start if start <= self.low else self.low - air
        start = (self.low + self.high - length) / 2
        if free:
            return start
        if length <= self.side:
            return min(max(start, 0.0), self.side - length)
        return (self.side - length) / 2

    @property
    def length(self) -> int:
        return self.high - self.low


def window(mask: Mask, aspect: float, *, free: bool) -> Window:
    """For (H, W) bool with at least one True, and a canvas of that width / height.

    `free`: the surroundings are replaced, so the window may leave the photo; else it stays inside
    of it wherever the object fits.
    """
    across, down = _span(mask, 1), _span(mask, 0)
    width = _free_width(across, down, aspect) if free else _inner_width(across, down, aspect)
    if across.cut_low and across.cut_high and _fits_cut(down, across.side / aspect):
        width = min(width, across.side)
    if down.cut_low and down.cut_high and _fits_cut(across, down.side * aspect):
        width = min(width, down.side * aspect)
    height = width / aspect
    air = 0.12 if free else AIR
    left = across.place(width, air=air * width, free=free)
    top = down.place(height, air=air * height, free=free)
    return Window(left, top, width, height)


def show(image: Image, seen: Window, size: tuple[int, int]) -> Image:
    """(H, W, 3) uint8 -> (height, width, 3) of `size`; beyond the photo it fades into a blur."""
    height, width = image.shape[:2]
    inner, place = _overlap(seen, (width, height), size)
    photo = PIL.Image.fromarray(image).resize(
        (place[2] - place[0], place[3] - place[1]), Resampling.BICUBIC, box=inner, reducing_gap=2.0
    )
    if photo.size == size:
        return np.array(photo)
    canvas = _continued(photo, place, size)
    canvas.paste(photo, place[:2])
    return np.array(canvas)


def show_mask(mask: Mask, seen: Window, size: tuple[int, int]) -> Mask:
    """(H, W) bool -> (height, width) of `size`; nothing beyond the photo."""
    height, width = mask.shape
    inner, place = _overlap(seen, (width, height), size)
    layer = PIL.Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    found = layer.resize((place[2] - place[0], place[3] - place[1]), Resampling.BILINEAR, box=inner)
    shown = np.zeros((size[1], size[0]), dtype=np.bool_)
    shown[place[1] : place[3], place[0] : place[2]] = np.asarray(found) >= 128
    return shown


def _span(mask: Mask, axis: int) -> _Span:
    """Across (1) or down (0)."""
    lines = np.flatnonzero(mask.any(axis=1 - axis))
    first, last = (mask[:, 0], mask[:, -1]) if axis == 1 else (mask[0], mask[-1])
    return _Span(
        mask.shape[axis],
        int(lines[0]),
        int(lines[-1]) + 1,
        bool(first.mean() > CUT),
        bool(last.mean() > CUT),
    )


def _free_width(across: _Span, down: _Span, aspect: float) -> float:
    """So wide that the object fills `SHARE` of it in one direction; cut ends need no air."""
    wide = across.length / (1 - _air(across))
    tall = down.length / (1 - _air(down))
    least = max(across.side, down.side * aspect) / ZOOM
    return max(wide, tall * aspect, least)


def _air(span: _Span) -> float:
    return (1 - SHARE) / 2 * (2 - span.cut_low - span.cut_high)


def _inner_width(across: _Span, down: _Span, aspect: float) -> float:
    """The widest window inside the photo if the object fits, else one that holds the photo."""
    inside = min(across.side, down.side * aspect)
    fits = _fits(across, inside) and _fits(down, inside / aspect)
    if not fits:
        return max(across.side, down.side * aspect)
    wanted = max(across.length / 0.72, down.length / 0.72 * aspect, inside / 1.35)
    return min(inside, wanted)


def _fits(span: _Span, length: float) -> bool:
    ends = 2 - span.cut_low - span.cut_high
    return span.length + ends * AIR * span.side <= length or (span.cut_high and span.cut_low)


def _fits_cut(span: _Span, length: float) -> bool:
    """Whether a window of this length cuts nothing off that the photo does not cut already."""
    return span.length <= length or span.cut_high


def _overlap(
    seen: Window, photo: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[float, float, float, float], tuple[int, int, int, int]]:
    """The part of the photo that is seen, and where it lies on the canvas."""
    place, inner = [], []
    for start, length, side, out in (
        (seen.left, seen.width, photo[0], size[0]),
        (seen.top, seen.height, photo[1], size[1]),
    ):
        scale = out / length
        low = min(max(0, round(-start * scale)), out - 1)
        high = max(min(out, round((side - start) * scale)), low + 1)
        if low <= 1:  # a pixel of rounding is no margin
            low = 0
        if high >= out - 1:
            high = out
        place.append((low, high))
        ends = start + low / scale, start + high / scale
        inner.append((max(0.0, ends[0]), min(float(side), ends[1])))
    (x0, x1), (y0, y1) = place
    (left, right), (top, bottom) = inner
    return (left, top, max(right, left + 1e-3), max(bottom, top + 1e-3)), (x0, y0, x1, y1)


def _continued(
    photo: PIL.Image.Image, place: tuple[int, int, int, int], size: tuple[int, int]
) -> PIL.Image.Image:
    """A canvas that goes on from the photo's borders, softer with every step."""
    step = max(1, min(size) // _BLUR // 3)
    small = np.asarray(photo.resize(_shrunk(photo.size, step), Resampling.BOX))
    whole = _shrunk(size, step)
    left, top = place[0] // step, place[1] // step
    right = max(0, whole[0] - left - small.shape[1])
    bottom = max(0, whole[1] - top - small.shape[0])
    padded = np.pad(small, ((top, bottom), (left, right), (0, 0)), mode="symmetric")
    soft = PIL.Image.fromarray(padded).filter(ImageFilter.GaussianBlur(4))
    return soft.resize(size, Resampling.BICUBIC)


def _shrunk(size: tuple[int, int], step: int) -> tuple[int, int]:
    return max(1, size[0] // step), max(1, size[1] // step)
