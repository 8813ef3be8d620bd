"""duotone: the surroundings in two tones of one ink, the object in its own colours."""

from __future__ import annotations

import PIL.Image
from PIL import ImageOps

from models.compose.blend import shadowed, toned
from models.compose.style import Overlay, Scene


def paint(scene: Scene) -> PIL.Image.Image:
    colours = scene.palette
    grey = ImageOps.autocontrast(scene.photo.convert("L"), cutoff=(1, 2))
    inked = toned(
        grey,
        colours.tone(0.34, 1.0),
        colours.tone(0.62, 1.25),
        colours.other(0.86, 0.9),
        colours.other(0.96, 0.4),
    )
    standing = shadowed(inked, scene.matte.layer, scene.unit, lift=12, dark=0.3)
    return scene.on(standing)


STYLE = Overlay(
    "duotone",
    alt="{object} in full colour and its surroundings in two tones",
    revision=1,
    paint=paint,
)
