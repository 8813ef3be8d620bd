"""A small visible label in the corner: this picture was made by a machine."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from models.base import Image
from models.compose.alt import MADE_BY

SMALLEST = 96  # px; on less, letters that can be read would hide the picture


def badge(image: Image, text: str = MADE_BY) -> Image:
    """(H, W, 3) uint8 -> the same with a label, bottom right; shrunk until it fits the width.

    The font is Pillow's own: Latin letters only, others show as boxes. Empty text changes
    nothing, nor is there a label on images under `SMALLEST`.
    """
    height, width = image.shape[:2]
    text = " ".join(text.split())
    if not text or min(width, height) < SMALLEST:
        return image.copy()
    size = max(min(width, height) * 0.024, 11.0)
    font = ImageFont.load_default(size)
    size *= min(1.0, 0.8 * width / max(font.getlength(text), 1.0))
    font = ImageFont.load_default(max(size, 1.0))
    pad, gap = size * 0.65, size * 0.9
    box = (
        width - gap - font.getlength(text) - 2 * pad,
        height - gap - size - pad,
        width - gap,
        height - gap,
    )
    photo = PIL.Image.fromarray(image).convert("RGB")
    draw = ImageDraw.Draw(photo, "RGBA")
    draw.rounded_rectangle(box, radius=(box[3] - box[1]) / 2, fill=(12, 12, 18, 150))
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    draw.text(middle, text, font=font, fill=(255, 255, 255, 235), anchor="mm")
    return np.array(photo)
