"""`tagecho upscale`, `segment` and `compose`: the image stages on files."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bot.config import Settings
from bot.core.errors import UsageError
from bot.flow.render import enlarged
from bot.platforms import registry
from bot.service.app import ServingStages
from bot.verbs.files import Made, Where, WrittenImages, each
from models.base import Image, Mask, Prompt, Segmentation
from models.compose.palette import Swatch, main_colours, strip
from models.compose.styles import AUTO, OVERLAYS, WITHOUT_MASK, composer, styles
from models.images.codec import Decoded, encode_grey, encode_jpeg, encode_png, png_mask
from models.images.fit import fit, placement
from models.images.opacity import straight
from models.superres.pick_by_damage import PickedUpscaler

KINDS = ("mask", "soft", "cutout")  # what `segment` writes
PALETTE = ".palette.png"  # beside a result: the colours of its picture


def upscale(paths: list[Path], out: Path | Where, scale: int, settings: Settings) -> WrittenImages:
    """Write NAME.png, `scale` times as large; transparency is enlarged, too."""
    stages = ServingStages(settings)
    upscaler = stages.upscaler(scale)

    def work(image: Decoded) -> Made:
        alpha = image.alpha
        if alpha is None:
            large = upscaler(image.pixels)
            return Made(encode_png(large), _size(large))
        # The network works on RGB. Alpha as three equal channels gets the same edges, as
        # long as it is the one that the colours picked.
        colours = straight(image.pixels, alpha)
        picked = upscaler.pick(colours) if isinstance(upscaler, PickedUpscaler) else upscaler
        opacity = picked(np.repeat(alpha[:, :, None], 3, axis=2))[:, :, 1]
        return Made(encode_png(picked(colours), alpha=opacity), _size(opacity))

    return each(paths, _where(out), ".png", work, settings)


def _where(out: Path | Where) -> Where:
    return out if isinstance(out, Where) else Where(out)


def _size(image: Image | Mask) -> dict[str, Any]:
    height, width = image.shape[:2]
    return {"size": [width, height]}


def segment(
    paths: list[Path],
    out: Path | Where,
    settings: Settings,
    prompt: Prompt | None = None,
    kind: str = "mask",
    *,
    palette: bool = False,
) -> WrittenImages:
    """Write NAME.png in the size of the input; without a clear object nothing is shown.

    `kind`: "mask", 0 or 255; "soft", probabilities from 0 to 255; "cutout", the object in its
    colours, transparent around it. With `prompt`: the object at that place, by the network that
    `[models] refiner` names. `palette`: also write the colours of the object as NAME.palette.png.
    """
    stages = ServingStages(settings)
    found = stages.segmenter() if prompt is None else _prompted(prompt, stages)

    def work(image: Decoded) -> Made:
        seen = found(image.pixels)
        facts = {"confidence": round(seen.confidence, 4), "coverage": _coverage(seen.mask)}
        colours = main_colours(image.pixels, seen.mask) if palette else None
        return _with_colours(_drawn(image, seen, kind), facts, colours)

    return each(paths, _where(out), ".png", work, settings)


def _with_colours(data: bytes, facts: dict[str, Any], colours: tuple[Swatch, ...] | None) -> Made:
    """None: they are not wanted."""
    if colours is None:
        return Made(data, facts)
    told = [{"colour": one.code, "share": round(one.share, 4)} for one in colours]
    return Made(data, facts | {"palette": told}, {PALETTE: encode_png(strip(colours))})


def _coverage(mask: Mask) -> float:
    return round(float(mask.mean()), 4)


def _drawn(image: Decoded, seen: Segmentation, kind: str) -> bytes:
    if kind == "mask":
        return png_mask(seen.mask)
    shown = seen.probability if seen.mask.any() else np.zeros_like(seen.probability)
    soft = (shown * 255).round().astype(np.uint8)
    if kind == "soft":
        return encode_grey(soft)
    if image.alpha is None:
        return encode_png(image.pixels, alpha=soft)
    opacity = (soft.astype(np.uint16) * image.alpha // 255).astype(np.uint8)
    return encode_png(straight(image.pixels, image.alpha), alpha=opacity)


def _prompted(prompt: Prompt, stages: ServingStages) -> Callable[[Image], Segmentation]:
    prompter = stages.prompter()
    if prompter is None:
        raise UsageError('points and boxes need [models] refiner = "sam-vit-b"')

    def work(pixels: Image) -> Segmentation:
        height, width = pixels.shape[:2]
        try:
            prompt.check(width, height)
        except ValueError as error:
            raise UsageError(str(error)) from error
        best = prompter(pixels, prompt)[0]
        return Segmentation(
            best.probability, best.probability > 0.5, best.quality, np.zeros(0, np.float32)
        )

    return work


def compose(
    paths: list[Path],
    out: Path | Where,
    style: str,
    seed: int,
    settings: Settings,
    *,
    palette: bool = False,
) -> WrittenImages:
    """Write NAME.jpg, as a reply to this image would look on the first platform.

    `palette`: also write the colours of the photo as NAME.palette.png.
    """
    canvas = registry.descriptors()[0].ways.modes[0].canvas
    if style not in (AUTO, *styles()):
        raise UsageError(f"no style {style!r}; there are {', '.join((AUTO, *styles()))}")
    stages = ServingStages(settings)

    def work(image: Decoded) -> Made:
        large, _ = enlarged(image.pixels, canvas.width, stages)
        seen = stages.segmenter()(large)
        mask = seen.mask
        chosen = composer(_auto(image) if style == AUTO else style)
        if chosen.needs_mask and not mask.any():
            chosen = composer(WITHOUT_MASK)
        alt = stages.alt_text(chosen.style, "", mask)
        size = placement(large.shape[1], large.shape[0], canvas).canvas
        made = fit(chosen(large, mask, seed=seed, size=size), canvas)
        shown = {"confidence": round(seen.confidence, 4), "coverage": _coverage(mask)}
        facts = {"style": chosen.style, "alt_text": alt, **shown}
        colours = main_colours(image.pixels) if palette else None
        return _with_colours(encode_jpeg(made, description=alt), facts, colours)

    return each(paths, _where(out), ".jpg", work, settings)


def _auto(image: Decoded) -> str:
    """One of the styles by what the picture shows: always the same for the same picture."""
    return OVERLAYS[zlib.crc32(image.pixels.tobytes()) % len(OVERLAYS)]
