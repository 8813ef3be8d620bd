"""`tagecho curate` and `tagecho stats`: judge the images, and count what was collected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, echo, print_json, say


def curate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change and why; write nothing.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Measure and compare new images, and update all verdicts. Deletes nothing.

    \b
    Examples:
      tagecho curate --dry-run
      tagecho curate
    """
    from bot.verbs.curate import curate as work
    from bot.verbs.curate import table

    summary = work(prepare(config), dry_run=dry_run)
    if json:
        print_json(summary.as_dict())
    else:
        for line in table(summary.changes):
            echo(line)
    for problem in summary.unreadable:
        complain(problem)
    would = "would be " if dry_run else ""
    say(
        f"{summary.images} images, {summary.measured} measured, {summary.compared} compared; "
        f"verdicts {would}new: {sum(summary.new.values())}, "
        f"changed: {sum(summary.changed.values())}, gone: {sum(summary.gone.values())}"
    )
    counted = ", ".join(f"{check} {count}" for check, count in summary.verdicts.items())
    say(f"verdicts now: {counted or 'none'}")
    if summary.unreadable:
        raise typer.Exit(1)


def stats(
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with plots and images to this file.")
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show posts over time, verdicts, label fit, duplicates and authors, by hashtag and dataset.

    \b
    Examples:
      tagecho stats --html stats.html
    """
    from bot.verbs.stats import collect, lines, write_page

    settings = prepare(config)
    found = collect(settings)
    if json:
        print_json(found.as_dict())
    else:
        echo("\n".join(lines(found)))
    if html is not None:
        write_page(settings, found, html)
        say(f"written: {html}")
