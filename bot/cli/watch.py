"""`tagecho watch`: own pictures, found again in what is collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, day, prepare
from bot.cli.output import complain, counted, echo, print_json, print_rows, say
from bot.core.errors import ConfigError

if TYPE_CHECKING:
    from bot.config import Settings

SHOWN = 20  # findings in a notice


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
    notify: Annotated[
        bool,
        typer.Option("--notify", help="Send a notice of what is new to the services of [notices]."),
    ] = False,
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

    settings = prepare(config, secrets="sections" if notify else "none")
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
    told = _told(settings, [row for row in rows if row["new"]]) if notify else True
    if report.unreadable or not told:
        raise typer.Exit(1)


def _told(settings: Settings, new: list[dict[str, Any]]) -> bool:
    """Send a notice of new findings; whether somebody took it, or there was nothing to tell."""
    from bot.net.notices import send

    if not new:
        return True
    said = settings.notices
    if not said.services:
        raise ConfigError("notices.urls is not set, and --notify needs it: tagecho notify test")
    lines = [f"{Path(row['picture']).name}: @{row['author']} {row['url']}" for row in new[:SHOWN]]
    lines += [f"and {len(new) - SHOWN} more"] if len(new) > SHOWN else []
    title = f"tagecho: your pictures reappeared: {counted(len(new), 'finding')}"
    done = send(said.services, title, "\n".join(lines), said.own_hosts)
    for each in done:
        if each.error:
            complain(f"{each.service}: {each.error}")
    return any(not each.error for each in done)
