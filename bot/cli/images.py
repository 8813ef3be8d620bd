"""The image stages on files: `upscale`, `segment`, `compose`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import Networks, network_settings
from bot.cli.output import echo, say
from bot.core.errors import UsageError

Paths = Annotated[list[Path], typer.Argument(help="Image files or folders.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]


def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int, typer.Option(help="2 or 4.")] = 4,
    config: Networks = None,
) -> None:
    """Enlarge images; writes NAME.png."""
    from bot.verbs import images

    if scale not in (2, 4):
        raise UsageError("--scale is 2 or 4")
    finish(images.upscale(paths, out, scale, network_settings(config)))


def segment(
    paths: Paths,
    out: Out,
    point: Annotated[
        list[str] | None,
        typer.Option(help="X,Y on the object, in pixels; may be repeated. With a refiner only."),
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="X0,Y0,X1,Y1 around the object. With a refiner only.")
    ] = None,
    config: Networks = None,
) -> None:
    """Find the main object; writes NAME.png, 0 or 255, of the input's size.

    With --point or --box, the object that they show, in one image.
    """
    from bot.verbs import images
    from models.base import Prompt

    settings, prompt = network_settings(config), None
    if point or box:
        if len(paths) != 1 or paths[0].is_dir():
            raise UsageError("--point and --box are for one image")
        points = tuple(_numbers(text, 2, "--point") for text in point or ())
        prompt = Prompt(points, _numbers(box, 4, "--box") if box else None)  # type: ignore[arg-type]
    finish(images.segment(paths, out, settings, prompt))


def compose(
    paths: Paths,
    out: Out,
    style: Annotated[str, typer.Option(help="One of the overlay styles.")] = "tint",
    seed: Annotated[int, typer.Option(help="Another number, another variant.")] = 0,
    config: Networks = None,
) -> None:
    """Super-resolve, segment and overlay; writes NAME.jpg as a reply would be."""
    from bot.verbs import images

    finish(images.compose(paths, out, style, seed, network_settings(config)))


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} takes {count} numbers with commas between, not {text!r}")
    return numbers


def finish(report: Any) -> None:
    """Say what was written and fail when anything was not."""
    for path in report.written:
        echo(path)
    for path, why in report.failed:
        say(f"{path}: {why}")
    if report.failed:
        raise typer.Exit(1)
