"""`tagecho upscale`, `segment` and `compose`: the image stages on files."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import Networks, network_settings
from bot.cli.output import complain, echo, print_json, say
from bot.core.errors import UsageError
from models.compose.styles import DEFAULT, styles

if TYPE_CHECKING:
    from bot.verbs.files import Where, WrittenImages

Paths = Annotated[list[Path], typer.Argument(help="Image files or folders; - is standard input.")]
Out = Annotated[
    Path, typer.Option("--out", help="The folder for the results; - is standard output.")
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", help="Take folders with all below; keep the subfolders."),
]
Skip = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out an image whose result is there already.")
]
WithPalette = Annotated[
    bool,
    typer.Option(
        "--palette",
        help="Also write the colours of each picture: NAME.palette.png, and in --json.",
    ),
]
FilesJson = Annotated[
    bool, typer.Option("--json", help="Print for each file what became of it, as one document.")
]

STYLE_HELP = f"One of {', '.join(styles())}; auto: another for each picture."


def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int, typer.Option(help="The factor: 2 or 4.")] = 4,
    recursive: Recursive = False,
    skip_existing: Skip = False,
    config: Networks = None,
    json: FilesJson = False,
) -> None:
    """Enlarge images. Writes NAME.png.

    \b
    Examples:
      tagecho upscale photos/ --out large/ --scale 2 --recursive --skip-existing
    """
    from bot.verbs import images

    if scale not in (2, 4):
        raise UsageError("--scale is 2 or 4")
    where = _where(out, recursive, skip_existing, json)
    finish(images.upscale(paths, where, scale, network_settings(config)), json)


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
    soft: Annotated[
        bool, typer.Option("--soft", help="Write how probable the object is, from 0 to 255.")
    ] = False,
    cutout: Annotated[
        bool, typer.Option("--cutout", help="Write the object itself, transparent around it.")
    ] = False,
    recursive: Recursive = False,
    skip_existing: Skip = False,
    palette: WithPalette = False,
    config: Networks = None,
    json: FilesJson = False,
) -> None:
    """Find the main object. Writes NAME.png with 0 or 255, in the size of the input.

    With --point or --box: find the object that they show, in one image. With --palette: the colours
    are those of the object.

    \b
    Examples:
      tagecho segment photos/ --out masks/ --palette --json
      tagecho segment photo.heic --out - --cutout
    """
    from bot.verbs import images
    from models.base import Prompt

    settings, prompt = network_settings(config), None
    if point or box:
        if len(paths) != 1 or paths[0].is_dir():
            raise UsageError("--point and --box work with one image only")
        points = tuple(_numbers(text, 2, "--point") for text in point or ())
        prompt = Prompt(points, _numbers(box, 4, "--box") if box else None)  # type: ignore[arg-type]
    if soft and cutout:
        raise UsageError("--soft and --cutout exclude each other")
    kind = "soft" if soft else "cutout" if cutout else "mask"
    where = _where(out, recursive, skip_existing, json)
    _not_piped(out, palette)
    finish(images.segment(paths, where, settings, prompt, kind, palette=palette), json)


def compose(
    paths: Paths,
    out: Out,
    style: Annotated[str, typer.Option(help=STYLE_HELP)] = DEFAULT,
    seed: Annotated[int, typer.Option(help="Another number gives another variant.")] = 0,
    recursive: Recursive = False,
    skip_existing: Skip = False,
    palette: WithPalette = False,
    config: Networks = None,
    json: FilesJson = False,
) -> None:
    """Enlarge, segment and overlay. Writes NAME.jpg, as a reply would be.

    \b
    Examples:
      tagecho compose photos/ --out replies/ --style auto
    """
    from bot.verbs import images

    where = _where(out, recursive, skip_existing, json)
    _not_piped(out, palette)
    settings = network_settings(config)
    finish(images.compose(paths, where, style, seed, settings, palette=palette), json)


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} takes {count} numbers separated by commas, not {text!r}")
    return numbers


def _not_piped(out: Path, palette: bool) -> None:
    from bot.verbs.files import PIPE

    if palette and out == PIPE:
        raise UsageError("--palette writes a second file, and --out - is for one")


def _where(out: Path, recursive: bool, skip_existing: bool, json: bool) -> Where:
    from bot.verbs.files import PIPE, Where

    if out == PIPE and json:
        raise UsageError("--json and --out - both print on standard output")
    if out == PIPE and sys.stdout.isatty():
        raise UsageError("--out - would print an image on this terminal; redirect it")
    return Where(out, recursive, skip_existing)


def finish(report: WrittenImages, json: bool) -> None:
    """Print what was written, and why the rest was not. Exit with 1 when an image failed."""
    if json:
        print_json([one.as_dict() for one in report.outcomes])
    for path in [] if json else report.written:
        echo(path)
    for one in report.renamed:
        say(f"{one.source} is {one.target}: another image has the same name")
    for one in report.of("skipped"):
        say(f"{one.source}: skipped: {one.why}")
    for path, why in report.failed:
        complain(f"{path}: {why}")
    if report.failed:
        raise typer.Exit(1)
