"""`tagecho curate` and `tagecho stats`: judge the images, and count what was collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, echo, print_json, say
from bot.core.errors import UsageError

if TYPE_CHECKING:
    from bot.config import Settings


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
    themes: Annotated[
        bool,
        typer.Option("--themes", help="Show the themes instead: tags that belong together."),
    ] = False,
    dataset: Annotated[str, typer.Option(help="With --themes: only those of this dataset.")] = "",
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show posts over time, verdicts, label fit, duplicates and authors, by hashtag and dataset.

    `--themes`: clusters of the hashtags, and of the tags that `caption` gave: images, share, how
    much of them another theme has, too, and what is rare. The page has them as a plot and a table.

    \b
    Examples:
      tagecho stats --html stats.html
      tagecho stats --themes --dataset hoodies
    """
    from bot.verbs.stats import collect, lines, write_page

    settings = prepare(config)
    if dataset and not themes:
        raise UsageError("--dataset needs --themes")
    if themes:
        _themes(settings, dataset, json)
        if html is None:
            return
    found = collect(settings)
    if json and not themes:
        print_json(found.as_dict())
    elif not themes:
        echo("\n".join(lines(found)))
    if html is not None:
        write_page(settings, found, html)
        say(f"written: {html}")


def _themes(settings: Settings, dataset: str, json: bool) -> None:
    from dataclasses import asdict

    from bot.verbs.themes import collect_themes, lines

    found = collect_themes(settings, dataset)
    if json:
        print_json({"themes": [asdict(theme) | {"name": theme.name} for theme in found]})
    else:
        echo("\n".join(lines(found)))
