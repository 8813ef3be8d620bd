"""`tagecho masks`: masks that were drawn elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, print_json, say
from bot.cli.verb import Verbs

app = Verbs(no_args_is_help=True, help="Masks that people drew.")


@app.callback()
def masks() -> None:
    """Masks that people drew."""


@app.command("import")
def import_masks(
    path: Annotated[
        Path, typer.Argument(help="A COCO file, a folder of PNGs, or an export of a dataset.")
    ],
    photos: Annotated[
        Path | None,
        typer.Option(help="The folder of their images, byte for byte as they are stored."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also where a person has drawn a mask; it stays below."),
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Import masks of stored images from COCO or PNG, each as a new version.

    An image is found by its SHA-256: in `source_sha256` or `sha256` of COCO, as the name of the
    file, or as that of the photo of the same name. In a PNG, what is not black is object. Exit
    code 1: some masks were not taken; the others were.

    \b
    Examples:
      tagecho masks import annotations.json --photos photos/
      tagecho masks import coco/
    """
    from bot.verbs.masks import import_masks as work

    found = work(prepare(config), path, photos, replace=replace)
    if json:
        print_json(found.as_dict())
    for name, why in found.problems:
        complain(f"{name}: {why}")
    say(
        f"{found.imported} masks imported, {found.unchanged} there already, "
        f"{found.kept} left because a person drew one (--replace), {len(found.problems)} not taken"
    )
    if found.problems:
        raise typer.Exit(1)
