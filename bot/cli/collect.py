"""`tagecho collect` and `tagecho suggest`: filling the dataset, and what to fill it with."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, only_account, prepare
from bot.cli.output import echo, print_json, say
from bot.cli.tracks import target_of


def collect(
    target: Annotated[str, typer.Argument(help="'#hashtag' or '@profile'.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Posts of it to have in all, the newest.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Nothing older, as 2026-01-31.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only such posts, as 'likes >= 10 and \"cap\" in hashtags'.")
    ] = None,
    comments: Annotated[int, typer.Option(min=0, help="Also so many comments a post.")] = 0,
    account: Annotated[str | None, typer.Option(help="Which account reads.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Its dataset; default: the name.")] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Collect a hashtag or profile backwards in time; the same command goes on and updates."""
    from bot.core.errors import UsageError
    from bot.dataset.filters import parse_day, parse_filter
    from bot.flow.backfill import Want, everything
    from bot.verbs.collect import Target, as_dict, track_of
    from bot.verbs.collect import collect as run

    settings = prepare(config)
    kind, name = target_of(target)
    try:
        day = parse_day(since) if since else None
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    want = Want(limit, day, parse_filter(where) if where else everything, comments)
    chosen = Target(account or only_account(settings), kind, name, dataset)
    summary = run(settings, chosen, want)
    if json:
        print_json({"dataset": track_of(settings, chosen).dataset} | as_dict(summary))
    taken = summary.taken
    say(
        f"{target}: {summary.listed} listed, {summary.matched} wanted, {taken.new} new, "
        f"{summary.comments} comments"
    )


def suggest(
    seeds: Annotated[
        list[str] | None, typer.Argument(help="Hashtags to start from; default: the tracks'.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each kind.")] = 10,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Hashtags and profiles that go with what was collected, ready for `tagecho track add`."""
    from bot.verbs.suggest import suggest as find

    found = find(prepare(config), seeds or [], limit)
    if json:
        print_json([suggestion.as_dict() for suggestion in found])
        return
    for suggestion in found:
        echo(f"{suggestion.score:.3f}  {suggestion.posts:>6}  {suggestion.target}")
