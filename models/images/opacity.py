"""Pictures that are partly transparent: on white, and the colours themselves."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

from models.base import Image

SURE = 8  # of 255: under that, white has drowned the colour in rounding


def on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Mode RGB, as a page shows it; what lies hidden under transparent pixels stays hidden."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = PIL.Image.new("RGBA", layer.size, "white")
    return PIL.Image.alpha_composite(white, layer).convert("RGB")


def straight(pixels: Image, alpha: NDArray[np.uint8]) -> Image:
    """The colours of a picture that lies on white: what belongs into a file beside its alpha.

    Pixels that are (all but) transparent go on with the colour of the nearest that are not, so
    that whoever enlarges or filters the colours finds no rim of white. (H, W, 3) and (H, W) uint8.
    """
    sure = alpha >= min(SURE, int(alpha.max()))
    if not alpha.any():
        return pixels.copy()
    opacity = np.maximum(alpha, 1)[..., None] / np.float32(255)
    colours = 255 - (255 - pixels.astype(np.float32)) / opacity
    if not sure.all():
        _, nearest = ndimage.distance_transform_edt(~sure, return_indices=True)
        colours = colours[tuple(nearest)]
    return np.asarray(colours.round().clip(0, 255), dtype=np.uint8)
