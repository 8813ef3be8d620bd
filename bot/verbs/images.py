"""`tagecho upscale`, `segment` and `compose`: the image stages on files."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo, UsageError
from bot.core.files import write_open
from bot.flow.render import enlarged
from bot.platforms import registry
from bot.service.app import ServingStages
from models.base import ImageRejected, Prompt
from models.compose.styles import AUTO, OVERLAYS, WITHOUT_MASK, composer, styles
from models.images.codec import Decoded, encode_jpeg, encode_png, png_mask
from models.images.decoder import decode
from models.images.fit import fit, placement
from models.images.opacity import straight
from models.superres.pick_by_damage import PickedUpscaler

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".bmp"}

Work = Callable[[Decoded], bytes]


@dataclass(slots=True)
class WrittenImages:
    """The files that were written, and the failures with their reasons."""

    written: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def upscale(paths: list[Path], out: Path, scale: int, settings: Settings) -> WrittenImages:
    """Write NAME.png, `scale` times as large; transparency is enlarged, too."""
    stages = ServingStages(settings)
    upscaler = stages.upscaler(scale)

    def work(image: Decoded) -> bytes:
        alpha = image.alpha
        if alpha is None:
            return encode_png(upscaler(image.pixels))
        # The network works on RGB. Alpha as three equal channels gets the same edges, as
        # long as it is the one that the colours picked.
        colours = straight(image.pixels, alpha)
        picked = upscaler.pick(colours) if isinstance(upscaler, PickedUpscaler) else upscaler
        large = picked(np.repeat(alpha[:, :, None], 3, axis=2))[:, :, 1]
        return encode_png(picked(colours), alpha=large)

    return _run(paths, out, ".png", work, settings)


def segment(
    paths: list[Path], out: Path, settings: Settings, prompt: Prompt | None = None
) -> WrittenImages:
    """Write NAME.png with 0 or 255, in the size of the input; all 0 without a clear object.

    With `prompt`: the object at that place, by the network that `[models] refiner` names.
    """
    stages = ServingStages(settings)
    if prompt is not None:
        return _run(paths, out, ".png", _prompted(prompt, stages), settings)
    segmenter = stages.segmenter()
    return _run(paths, out, ".png", lambda image: png_mask(segmenter(image.pixels).mask), settings)


def _prompted(prompt: Prompt, stages: ServingStages) -> Work:
    prompter = stages.prompter()
    if prompter is None:
        raise UsageError('points and boxes need [models] refiner = "sam-vit-b"')

    def work(image: Decoded) -> bytes:
        height, width = image.pixels.shape[:2]
        try:
            prompt.check(width, height)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return png_mask(prompter(image.pixels, prompt)[0].probability > 0.5)

    return work


def compose(
    paths: list[Path], out: Path, style: str, seed: int, settings: Settings
) -> WrittenImages:
    """Write NAME.jpg, as a reply to this image would look on the first platform."""
    canvas = registry.descriptors()[0].ways.modes[0].canvas
    if style not in (AUTO, *styles()):
        raise UsageError(f"no style {style!r}; there are {', '.join((AUTO, *styles()))}")
    stages = ServingStages(settings)

    def work(image: Decoded) -> bytes:
        large, _ = enlarged(image.pixels, canvas.width, stages)
        mask = stages.segmenter()(large).mask
        chosen = composer(_auto(image) if style == AUTO else style)
        if chosen.needs_mask and not mask.any():
            chosen = composer(WITHOUT_MASK)
        alt = stages.alt_text(chosen.style, "", mask)
        size = placement(large.shape[1], large.shape[0], canvas).canvas
        made = chosen(large, mask, seed=seed, size=size)
        return encode_jpeg(fit(made, canvas), description=alt)

    return _run(paths, out, ".jpg", work, settings)


def _auto(image: Decoded) -> str:
    """One of the styles by what the picture shows: always the same for the same picture."""
    return OVERLAYS[zlib.crc32(image.pixels.tobytes()) % len(OVERLAYS)]


def _run(
    paths: list[Path], out: Path, suffix: str, work: Work, settings: Settings
) -> WrittenImages:
    report, taken = WrittenImages(), set[str]()
    sources = list(_sources(paths, report))
    if not sources and not report.failed:
        raise NothingToDo("no image among " + ", ".join(map(str, paths)))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from error
    for source in sources:
        target = out / _free_name(source, suffix, taken)
        if target.exists() and target.samefile(source):
            report.failed.append((source, "would overwrite its own source: choose another --out"))
            continue
        try:
            data = source.read_bytes()
            image = decode(data, max_pixels=settings.limits.max_pixels)
            write_open(target, work(image))
        except (ImageRejected, ModelError, OSError) as error:
            report.failed.append((source, str(error)))
        else:
            report.written.append(target)
    return report


def _sources(paths: list[Path], report: WrittenImages) -> Iterator[Path]:
    """The named files, and the files in named folders that look like images."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.is_file():
            yield path
        else:
            report.failed.append((path, "no such file"))


def _free_name(source: Path, suffix: str, taken: set[str]) -> str:
    """NAME, then NAME-2, NAME-3, so that two inputs with one stem are both written.

    Upper and lower case are the same, as on some file systems.
    """
    name, number = f"{source.stem}{suffix}", 1
    while name.casefold() in taken:
        number += 1
        name = f"{source.stem}-{number}{suffix}"
    taken.add(name.casefold())
    return name
