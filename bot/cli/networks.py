"""`tagecho models` and `tagecho labels`: which networks, how good, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import learning
from bot.cli.common import (
    CONFIG,
    Config,
    Json,
    Networks,
    network_settings,
    prepare,
    print_json,
    say,
)

models = typer.Typer(no_args_is_help=True, help="The networks: which, whole, how good.")
labels = typer.Typer(no_args_is_help=True, help="How well hashtags fit their images.")


@models.command("list")
def models_list(config: Networks = None, json: Json = False) -> None:
    """The shipped networks: stage, licence, size, and which are in service."""
    from bot.weights import listing

    rows = listing(network_settings(config))
    if json:
        print_json(rows)
        return
    for row in rows:
        serves = "in service" if row["in_service"] else ""
        size = f"{row['bytes'] / 1e6:.1f} MB"
        print(
            f"{row['name']:<12} {row['stage']:<10} {row['licence']:<12} {size:>8}  "
            f"{row['sha256'][:12]}  {serves}"
        )


@models.command("verify")
def models_verify(config: Networks = None, json: Json = False) -> None:
    """Are the weights in service what was shipped? Exit code 7 when one is damaged."""
    from bot.errors import ModelError
    from bot.weights import verify

    rows = verify(network_settings(config))
    if json:
        print_json(rows)
    else:
        for row in rows:
            print(
                f"{'FAIL' if row['problem'] else 'ok  '} {row['name']}  {row['problem']}".rstrip()
            )
    if any(row["problem"] for row in rows):
        raise typer.Exit(ModelError.exit_code)


@models.command("evaluate")
def models_evaluate(
    masks: Annotated[
        Path | None, typer.Option(help="A folder with photos/ID.jpg and labels/ID.png.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Lines of id, author, hashtag; photos/ beside the file.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many photos of each.")
    ] = None,
    selection: Annotated[
        bool, typer.Option("--selection", help="The 100 masks for choosing, not for reporting.")
    ] = False,
    config: Networks = None,
    json: Json = False,
) -> None:
    """How good the networks in service are: masks, and finding hashtags that do not fit."""
    from bot.evaluate import evaluate, table

    found = evaluate(network_settings(config), masks, labels, limit=limit, selection=selection)
    if json:
        print_json(found.as_dict())
    else:
        print("\n".join(table(found)))


models.command("promote")(learning.promote)
models.command("rollback")(learning.rollback)


@labels.command("score")
def labels_score(config: Config = CONFIG, json: Json = False) -> None:
    """How probable it is that each hashtag fits its post; a second run computes what is new."""
    from bot.labels import score

    summary = score(prepare(config))
    if json:
        print_json(summary.as_dict())
    else:
        for row in summary.least_likely:
            print(f"{row['probability']:.3f}  #{row['hashtag']}  {row['url']}")
    for problem in summary.unreadable:
        say(problem)
    say(
        f"{summary.scores} scores of {summary.hashtags} hashtags on {summary.posts} posts by "
        f"{summary.model}; {summary.embedded} of {summary.images} images were new"
    )
    if summary.unreadable:
        raise typer.Exit(1)
