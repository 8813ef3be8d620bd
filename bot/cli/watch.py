"""`tagecho watch`: own pictures, found again in what is collected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, day, prepare
from bot.cli.output import complain, counted, echo, print_json, print_rows, say


def watch(
    folder: Annotated[
        Path,
        typer.Argument(help="The folder of your pictures; folders in it are taken, too."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw each finding, both pictures side by side, in this folder."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write the findings as a page to this file.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Show only what was found on or after this day, UTC.")
    ] = "",
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find your own pictures in what was collected, as they are or altered.

    Finds them cropped, in other colours, mirrored, with words over them, and in screenshots. Each
    image is compared once; the next run looks at what came since, on either side. A picture that is
    not in the folder any more is not watched any more. Exit code 1: something could not be read.

    \b
    Examples:
      tagecho watch portfolio/
      tagecho watch portfolio/ --out findings/ --html findings.html --since 2026-01-01
    """
    from bot.verbs import watch_pictures
    from bot.verbs.watch import watch as work

    settings = prepare(config)
    report = work(settings, folder, since=day(since, "--since"))
    rows = report.rows()
    if json and not csv:
        print_json(report.as_dict())
    elif not print_rows(rows, json=json, csv=csv):
        for line in watch_pictures.table(rows):
            echo(line)
    for problem in report.unreadable:
        complain(problem)
    if out is not None:
        written = watch_pictures.write_pairs(settings, report.found, out)
        say(f"{counted(len(written), 'picture')} drawn in {out}")
    if html is not None:
        watch_pictures.write_page(settings, report.found, html)
        say(f"written: {html}")
    new = sum(row["new"] for row in rows)
    say(
        f"{counted(report.pictures, 'picture')} watched "
        f"({report.added} new, {report.removed} gone), "
        f"{counted(report.images, 'image')} compared by this run; "
        f"{counted(len(rows), 'finding')}, {new} new"
    )
    if report.unreadable:
        raise typer.Exit(1)
