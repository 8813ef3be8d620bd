"""A picture shown to a detector several times, mirrored and in other sizes: its answers, brought
back to the picture as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image as Pil

from models.base import Image
from models.detect.boxes import Boxes

SCALES = (1.0, 0.75, 1.33)


def answers(
    detect: Callable[[Image], Boxes], image: Image, scales: Sequence[float] = SCALES
) -> list[Boxes]:
    """Two for each scale: of the picture (H, W, 3), and of its mirror image; to be fused."""
    height, width = image.shape[:2]
    found = []
    for scale in scales:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        seen = image
        if size != (width, height):
            seen = np.asarray(Pil.fromarray(image).resize(size, Pil.Resampling.BILINEAR))
        found.append(detect(seen).scaled(width / size[0]))
        mirrored = detect(np.ascontiguousarray(seen[:, ::-1]))
        found.append(mirrored.mirrored(size[0]).scaled(width / size[0]))
    return [boxes.within(width, height) for boxes in found]
