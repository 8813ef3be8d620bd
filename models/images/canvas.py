"""What a platform allows an image to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image of this width whose width / height lies within the limits, and its file."""

    width: int  # px
    tallest: float  # width / height, at least; 0.8 is 4:5
    widest: float  # width / height, at most; as `tallest`: one shape for all images
    max_bytes: int
    formats: tuple[str, ...] = ("JPEG",)  # of JPEG and PNG, the preferred one first
