"""swatches: the whole photo mounted on paper, with its colours as a strip of cards beneath."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import ImageDraw
from PIL.Image import Resampling

from models.compose.blend import shadowed
from models.compose.palette import Palette, oklch
from models.compose.style import Whole

MARGIN, STRIP, GAP = 0.055, 0.12, 0.012  # of the short side


def paint(
    photo: PIL.Image.Image, size: tuple[int, int], palette: Palette, rng: np.random.Generator
) -> PIL.Image.Image:
    short = min(size)
    margin, gap = max(1, round(MARGIN * short)), max(1, round(GAP * short))
    strip = max(1, round(STRIP * short))
    room = size[0] - 2 * margin, size[1] - 3 * margin - strip
    if min(room) < 8:  # no room for a mount
        return photo.resize(size, Resampling.LANCZOS)
    scale = min(room[0] / photo.width, room[1] / photo.height)
    inner = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    left = (size[0] - inner[0]) // 2
    top = margin + (room[1] - inner[1]) // 2
    ground = PIL.Image.new("RGB", size, oklch(0.95, 0.02, palette.hue))
    mounted = _laid(ground, (left, top, left + inner[0], top + inner[1]), short)
    mounted.paste(photo.resize(inner, Resampling.LANCZOS, reducing_gap=2.0), (left, top))
    return _cards(mounted, (left, top + inner[1] + margin, inner[0], strip), gap, palette, rng)


def _laid(ground: PIL.Image.Image, box: tuple[int, int, int, int], short: int) -> PIL.Image.Image:
    layer = PIL.Image.new("L", ground.size)
    ImageDraw.Draw(layer).rectangle(box, fill=255)
    return shadowed(ground, layer, short / 1080, lift=10, dark=0.3)


def _cards(
    ground: PIL.Image.Image,
    box: tuple[int, int, int, int],
    gap: int,
    palette: Palette,
    rng: np.random.Generator,
) -> PIL.Image.Image:
    """A card for each colour of the photo; wider, where there is more of it."""
    left, top, width, height = box
    swatches = palette.swatches if rng.integers(2) else palette.swatches[::-1]
    weights = np.array([max(one.share, 0.08) ** 0.6 for one in swatches])
    ends = np.round((weights.cumsum() / weights.sum()) * (width + gap)).astype(int)
    draw, start = ImageDraw.Draw(ground), 0
    for swatch, end in zip(swatches, ends.tolist(), strict=True):
        if end - gap > start:
            draw.rectangle(
                (left + start, top, left + end - gap - 1, top + height - 1), fill=swatch.colour
            )
        start = end
    return ground


STYLE = Whole(
    "swatches",
    alt="its colours on a strip of cards beneath it",
    revision=1,
    paint=paint,
)
