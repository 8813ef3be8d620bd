"""`tagecho upscale`, `segment` and `compose`: the image stages on files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import Networks, network_settings
from bot.cli.output import complain, echo
from bot.core.errors import UsageError
from models.compose.styles import DEFAULT, styles

if TYPE_CHECKING:
    from bot.verbs.images import WrittenImages

Paths = Annotated[list[Path], typer.Argument(help="Image files or folders.")]
Out = Annotated[Path, typer.Option("--out", help="The folder for the results.")]

STYLE_HELP = f"One of {', '.join(styles())}; auto: another for each picture."


def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int, typer.Option(help="The factor: 2 or 4.")] = 4,
    config: Networks = None,
) -> None:
    """Enlarge images. Writes NAME.png.

    \b
    Examples:
      tagecho upscale photos/ --out large/ --scale 2
    """
    from bot.verbs import images

    if scale not in (2, 4):
        raise UsageError("--scale is 2 or 4")
    finish(images.upscale(paths, out, scale, network_settings(config)))


def segment(
    paths: Paths,
    out: Out,
    point: Annotated[
        list[str] | None,
        typer.Option(help="X,Y: a point on the object, in pixels; repeatable. Needs a refiner."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="X0,Y0,X1,Y1: a box around the object, in pixels. Needs a refiner."),
    ] = None,
    config: Networks = None,
) -> None:
    """Find the main object. Writes NAME.png with 0 or 255, in the size of the input.

    With --point or --box: find the object that they show, in one image.

    \b
    Examples:
      tagecho segment photos/ --out masks/
    """
    from bot.verbs import images
    from models.base import Prompt

    settings, prompt = network_settings(config), None
    if point or box:
        if len(paths) != 1 or paths[0].is_dir():
            raise UsageError("--point and --box work with one image only")
        points = tuple(_numbers(text, 2, "--point") for text in point or ())
        prompt = Prompt(points, _numbers(box, 4, "--box") if box else None)  # type: ignore[arg-type]
    finish(images.segment(paths, out, settings, prompt))


def compose(
    paths: Paths,
    out: Out,
    style: Annotated[str, typer.Option(help=STYLE_HELP)] = DEFAULT,
    seed: Annotated[int, typer.Option(help="Another number gives another variant.")] = 0,
    config: Networks = None,
) -> None:
    """Enlarge, segment and overlay. Writes NAME.jpg, as a reply would be.

    \b
    Examples:
      tagecho compose photos/ --out replies/ --style auto
    """
    from bot.verbs import images

    finish(images.compose(paths, out, style, seed, network_settings(config)))


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} takes {count} numbers separated by commas, not {text!r}")
    return numbers


def finish(report: WrittenImages) -> None:
    """Print what was written. Exit with 1 when an image failed."""
    for path in report.written:
        echo(path)
    for path, why in report.failed:
        complain(f"{path}: {why}")
    if report.failed:
        raise typer.Exit(1)
