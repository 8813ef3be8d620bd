"""Colours from a seed, in OKLCH: equal lightness looks equal, whatever the hue."""

from __future__ import annotations

import math
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]  # sRGB, 0..255

_GOLDEN_ANGLE = 137.508  # consecutive seeds land far from each other
_NAMES = (  # hue in degrees up to which the name fits
    (15, "pink"),
    (42, "red"),
    (72, "orange"),
    (112, "yellow"),
    (162, "green"),
    (215, "turquoise"),
    (275, "blue"),
    (315, "violet"),
    (360, "pink"),
)


def hue(seed: int) -> float:
    """A hue in degrees, [0, 360)."""
    return (seed % 100_003) * _GOLDEN_ANGLE % 360


def colour_name(degrees: float) -> str:
    """An everyday English name of an OKLCH hue."""
    return next(name for limit, name in _NAMES if degrees % 360 <= limit)


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
