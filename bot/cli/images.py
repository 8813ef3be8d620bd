"""The image stages on files: `upscale`, `segment`, `compose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import Networks, network_settings, say
from bot.errors import UsageError

Paths = Annotated[list[Path], typer.Argument(help="Image files or folders.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]


def upscale(
    paths: Paths,
    out: Out,
    scale: Annotated[int, typer.Option(help="2 or 4.")] = 4,
    config: Networks = None,
) -> None:
    """Enlarge images; writes NAME.png."""
    from bot import files

    if scale not in (2, 4):
        raise UsageError("--scale is 2 or 4")
    finish(files.upscale(paths, out, scale, network_settings(config)))


def segment(paths: Paths, out: Out, config: Networks = None) -> None:
    """Find the main object; writes NAME.png, 0 or 255, of the input's size."""
    from bot import files

    finish(files.segment(paths, out, network_settings(config)))


def compose(
    paths: Paths,
    out: Out,
    style: Annotated[str, typer.Option(help="One of the overlay styles.")] = "tint",
    seed: Annotated[int, typer.Option(help="Another number, another variant.")] = 0,
    config: Networks = None,
) -> None:
    """Super-resolve, segment and overlay; writes NAME.jpg as a reply would be."""
    from bot import files

    finish(files.compose(paths, out, style, seed, network_settings(config)))


def finish(report: Any) -> None:
    """Say what was written and fail when anything was not."""
    for path in report.written:
        print(path)
    for path, why in report.failed:
        say(f"{path}: {why}")
    if report.failed:
        raise typer.Exit(1)
