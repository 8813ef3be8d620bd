"""`tagecho collect` and `tagecho suggest`: collect older posts; suggest what to collect."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, only_account, prepare
from bot.cli.output import echo, print_json, say
from bot.cli.tracks import target_of


def collect(
    target: Annotated[str, typer.Argument(help="'#hashtag' or '@profile'.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop when so many posts of it are stored.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Collect nothing older: 2026-01-31.")] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Store only posts that match: 'likes >= 10 and \"cap\" in hashtags'."),
    ] = None,
    comments: Annotated[int, typer.Option(min=0, help="Also store so many comments per post.")] = 0,
    account: Annotated[str | None, typer.Option(help="The account that reads.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The dataset of the posts; default: the name.")
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Collect a hashtag or profile backwards in time. Run it again to continue or to update.

    `--where` compares `author`, `caption`, `comments`, `hashtags`, `images`, `likes`, `mentions`,
    `pinned`, `place`, `taken` and `url` by `== != < <= > >= in not in`, joined by `and or not`. A
    value that the post does not show, such as hidden likes, never matches.

    \b
    Examples:
      tagecho collect '#hoodie' --limit 2000
      tagecho collect @some.name --since 2026-01-01
    """
    from bot.core.errors import UsageError
    from bot.dataset.filters import parse_day, parse_filter
    from bot.flow.backfill import Want, everything
    from bot.verbs.collect import Target, as_dict, track_of
    from bot.verbs.collect import collect as run

    settings = prepare(config, secrets=True)
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
        list[str] | None,
        typer.Argument(help="Hashtags to start from; default: those of the tracks."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many of each kind.")] = 10,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Suggest hashtags and profiles that often appear together with the collected ones.

    \b
    Examples:
      tagecho suggest '#hoodie'
    """
    from bot.verbs.suggest import suggest as find

    found = find(prepare(config), seeds or [], limit)
    if json:
        print_json([suggestion.as_dict() for suggestion in found])
        return
    for suggestion in found:
        echo(f"{suggestion.score:.3f}  {suggestion.posts:>6}  {suggestion.target}")
