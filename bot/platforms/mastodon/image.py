"""The image of a reply as a server takes it: less quality first, then fewer pixels."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image

from bot.core.errors import Refused
from bot.platforms.mastodon.limits import ServerLimits
from models.base import Image
from models.images.codec import decode, encode_jpeg

JPEG, PNG = "image/jpeg", "image/png"
_SMALLEST = 320  # pixels of the longer side: below, nobody sees what it shows
_STEP = 0.8  # of each side, from one try to the next
_PLENTY = 1_000_000_000  # pixels: it is our own image


def fitted(image: bytes, limits: ServerLimits, description: str) -> tuple[bytes, str]:
    """The bytes to send, and their media type: as they are where the server takes them.

    `description` goes into the metadata of an image that is encoded anew. Raises Refused where the
    server takes none that shows anything, and nothing was sent.
    """
    kind = PNG if image.startswith(b"\x89PNG") else JPEG
    taken = not limits.types or kind in limits.types
    pixels = decode(image, max_pixels=_PLENTY, min_side=1).pixels
    small = pixels.shape[0] * pixels.shape[1] <= limits.image_pixels
    if taken and small and len(image) <= limits.image_bytes:
        return image, kind
    if limits.types and JPEG not in limits.types:
        raise Refused(f"upload: the server takes no {kind} and no {JPEG}; nothing was sent")
    pixels = _shrunk(pixels, math.sqrt(limits.image_pixels / (pixels.shape[0] * pixels.shape[1])))
    while max(pixels.shape[:2]) >= _SMALLEST:
        try:
            made = encode_jpeg(pixels, description=description, max_bytes=limits.image_bytes)
        except ValueError:
            pixels = _shrunk(pixels, _STEP)
            continue
        return made, JPEG
    raise Refused(
        f"upload: the server takes {limits.image_bytes} bytes and {limits.image_pixels} pixels, "
        "too few for a picture; nothing was sent"
    )


def _shrunk(pixels: Image, factor: float) -> Image:
    """(H, W, 3) uint8, each side by this factor; never larger."""
    if factor >= 1:
        return pixels
    height, width = (max(1, int(side * factor)) for side in pixels.shape[:2])
    image = PIL.Image.fromarray(pixels).resize((width, height), PIL.Image.Resampling.LANCZOS)
    return np.asarray(image)
