"""Colours in OKLCH, where equal lightness looks equal whatever the hue; and those of a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.Image import Resampling

from models.base import Image, Mask

Colour: TypeAlias = tuple[int, int, int]  # sRGB, 0..255
Lab: TypeAlias = NDArray[np.float64]  # (n, 3): OKLab lightness, a, b

GROUPS = 6  # into which the colours of a photo are sorted
COLOURLESS = 0.03  # chroma under which a colour has no hue worth naming
_GOLDEN_ANGLE = 137.508  # consecutive seeds land far from each other
_SAMPLE = 48  # px: the side at which a photo's colours are counted


@dataclass(frozen=True, slots=True)
class Swatch:
    """A group of a photo's colours."""

    lightness: float
    chroma: float
    hue: float  # degrees
    share: float  # of the photo

    @property
    def colour(self) -> Colour:
        return oklch(self.lightness, self.chroma, self.hue)

    @property
    def code(self) -> str:
        """As `#1f77b4`."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


@dataclass(frozen=True, slots=True)
class Palette:
    """What a picture is painted with: two hues of the photo, and how light its object is."""

    swatches: tuple[Swatch, ...]  # from dark to light
    hue: float  # degrees; of a colour of the photo, or across from it
    second: float  # degrees
    chroma: float  # how colourful large areas may be
    object_lightness: float  # OKLab, in [0, 1]

    def tone(self, lightness: float, strength: float = 1.0) -> Colour:
        """The first hue, `strength` times as colourful as large areas are."""
        return oklch(lightness, self.chroma * strength, self.hue)

    def other(self, lightness: float, strength: float = 1.0) -> Colour:
        """The second hue."""
        return oklch(lightness, self.chroma * strength, self.second)

    def paper(self, lightness: float, strength: float = 1.0, *, second: bool = False) -> Colour:
        """A tone for coloured paper: never the brown that dark red, orange and yellow are."""
        degrees = self.second if second else self.hue
        return oklch(unbrowned(lightness, degrees), self.chroma * strength, degrees)

    @property
    def light_object(self) -> bool:
        """Whether the object needs a ground darker than itself."""
        return self.object_lightness > 0.68


def palette(photo: PIL.Image.Image, layer: PIL.Image.Image | None, seed: int) -> Palette:
    """The colours of a photo; `layer` (mode L) is where its object is. Another seed, other hues."""
    small = photo.resize((_SAMPLE, _SAMPLE), Resampling.BOX, reducing_gap=2.0)
    lab = _oklab(np.asarray(small, dtype=np.float64).reshape(-1, 3) / 255)
    inside = np.full(len(lab), 0.5)
    if layer is not None:
        shrunk = layer.resize((_SAMPLE, _SAMPLE), Resampling.BOX, reducing_gap=2.0)
        inside = np.asarray(shrunk, dtype=np.float64).ravel() / 255
    groups = _groups(lab, inside)
    hues = _hues(groups, seed)
    first, second = hues[abs(seed) % len(hues)], hues[(abs(seed) + 1) % len(hues)]
    if abs(_turn(first, second)) < 25:  # too near to be told apart
        second = first + (40 if abs(seed) // len(hues) % 2 else -40)
    weight = inside + 1e-6
    swatches = tuple(sorted((swatch for swatch, _ in groups), key=lambda one: one.lightness))
    return Palette(
        swatches,
        first % 360,
        second % 360,
        _vividness(swatches),
        float((lab[:, 0] * weight).sum() / weight.sum()),
    )


def main_colours(image: Image, mask: Mask | None = None) -> tuple[Swatch, ...]:
    """The colours of a picture, or of the object in it, the largest share first: at most `GROUPS`.

    None for an empty mask.
    """
    pixels = image.reshape(-1, 3) if mask is None else image[mask]
    if not len(pixels):
        return ()
    # Evenly spread, and not in step with the rows of the picture.
    places = np.linspace(0, len(pixels) - 1, min(len(pixels), _SAMPLE**2)).astype(np.intp)
    lab = _oklab(pixels[places].astype(np.float64) / 255)
    return tuple(swatch for swatch, _ in _groups(lab, np.ones(len(lab))))


def strip(swatches: tuple[Swatch, ...], size: tuple[int, int] = (600, 100)) -> Image:
    """The colours beside each other, each as wide as its share; white where there is none."""
    width, height = size
    made = np.full((height, width, 3), 255, np.uint8)
    edges = np.cumsum([0.0, *(one.share for one in swatches)]) * width
    for one, left, right in zip(swatches, edges[:-1], edges[1:], strict=True):
        made[:, round(left) : round(right)] = one.colour
    return made


def hue(seed: int) -> float:
    """A hue in degrees, [0, 360)."""
    return (seed % 100_003) * _GOLDEN_ANGLE % 360


def unbrowned(lightness: float, degrees: float) -> float:
    """A lightness at which this hue is clear: warm colours turn brown when they are dark."""
    off = abs(_turn(70, degrees))
    warmth = min(max((75 - off) / 30, 0.0), 1.0)
    return lightness + warmth * 0.6 * max(0.0, 0.82 - lightness)


def oklch(lightness: float, chroma: float, degrees: float) -> Colour:
    """OKLCH -> sRGB. Chroma is lowered until the colour exists in sRGB."""
    while True:
        linear = _linear(lightness, chroma, degrees)
        if chroma <= 0 or all(-0.001 <= value <= 1.001 for value in linear):
            red, green, blue = (_encode(value) for value in linear)
            return red, green, blue
        chroma = max(0.0, chroma - 0.005)


def gradient(*stops: Colour) -> list[int]:
    """A table for `Image.point` on mode RGB (3 x 256): grey value -> colour between the stops."""
    table = []
    for channel in range(3):
        for value in range(256):
            place = value / 255 * (len(stops) - 1)
            index = min(int(place), len(stops) - 2)
            low, high = stops[index][channel], stops[index + 1][channel]
            table.append(round(low + (high - low) * (place - index)))
    return table


def _groups(lab: Lab, inside: NDArray[np.float64]) -> list[tuple[Swatch, float]]:
    """Groups of like colours (k-means), the largest first, each with its share of the object."""
    # Farthest points first: no chance, and small bright things get a group of their own.
    middles = lab[[int(np.abs(lab - lab.mean(axis=0)).sum(axis=1).argmin())]]
    while len(middles) < GROUPS:
        farthest = _distances(lab, middles).min(axis=1).argmax()
        middles = np.concatenate([middles, lab[[farthest]]])
    for _ in range(8):
        nearest = _distances(lab, middles).argmin(axis=1)
        counts = np.bincount(nearest, minlength=GROUPS)
        sums = np.stack(
            [np.bincount(nearest, lab[:, axis], minlength=GROUPS) for axis in range(3)], axis=1
        )
        middles = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], middles)
    found = []
    for number in np.argsort(-counts, kind="stable"):
        if counts[number]:
            lightness, a, b = middles[number]
            swatch = Swatch(
                float(lightness),
                float(math.hypot(a, b)),
                float(math.degrees(math.atan2(b, a)) % 360),
                float(counts[number] / len(lab)),
            )
            found.append((swatch, float(inside[nearest == number].mean())))
    return found


def _distances(lab: Lab, middles: Lab) -> NDArray[np.float64]:
    # Hue and chroma count more than light: a shaded red is still red.
    difference = (lab[:, None] - middles[None]) * np.array([1.0, 2.0, 2.0])
    squared: NDArray[np.float64] = (difference**2).sum(axis=2)
    return squared


def _hues(groups: list[tuple[Swatch, float]], seed: int) -> list[float]:
    """Hues that fit the photo, the most telling first: its own, and the one across from them."""
    telling = sorted(
        (one for one, _ in groups if one.chroma > COLOURLESS),
        key=lambda one: -one.chroma * math.sqrt(one.share),
    )
    hues: list[float] = []
    for one in telling:
        if all(abs(_turn(one.hue, known)) > 25 for known in hues):
            hues.append(one.hue)
    if not hues:  # grey: any will do
        return [hue(seed), hue(seed) + 60]
    return [*hues[:3], hues[0] + 180]


def _vividness(swatches: tuple[Swatch, ...]) -> float:
    """Large areas are as colourful as the photo's colourful parts, within what pleases."""
    strongest = max(one.chroma * min(1.0, 0.5 + 5 * one.share) for one in swatches)
    return min(max(0.9 * strongest, 0.06), 0.13)


def _turn(one: float, other: float) -> float:
    """Degrees from one hue to the other, in [-180, 180)."""
    return (other - one + 180) % 360 - 180


def _oklab(rgb: NDArray[np.float64]) -> Lab:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(linear @ _TO_CONES.T)
    lab: Lab = cones @ _TO_LAB.T
    return lab


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(lightness: float, chroma: float, degrees: float) -> tuple[float, float, float]:
    a = chroma * math.cos(math.radians(degrees))
    b = chroma * math.sin(math.radians(degrees))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    curve = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(curve * 255)
