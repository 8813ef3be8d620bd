"""`tagecho models`: the networks and their quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import learn as learning
from bot.cli.common import Csv, Json, Networks, network_settings
from bot.cli.output import echo, print_json, print_rows, say
from bot.cli.verb import Verbs

models = Verbs(
    no_args_is_help=True, help="The networks: list, download, verify, evaluate, promote."
)


@models.command("list")
def models_list(config: Networks = None, json: Json = False, csv: Csv = False) -> None:
    """List shipped, learned and official networks, and show which are in service.

    \b
    Examples:
      tagecho models list
    """
    from bot.verbs.networks import listing

    rows = listing(network_settings(config))
    if print_rows(rows, json=json, csv=csv):
        return
    for row in rows:
        state = ["in service"] * row["in_service"] + ["not pulled"] * (not row["here"])
        size = f"{row['bytes'] / 1e6:.1f} MB"
        echo(
            f"{row['name']:<20} {row['stage']:<10} {row['licence']:<12} {size:>8}  "
            f"{row['sha256'][:12]:<12}  {', '.join(state)}".rstrip()
        )


@models.command("pull")
def models_pull(
    name: Annotated[str, typer.Argument(help="An official network, as `models list` names it.")],
    sha256: Annotated[
        str,
        typer.Option("--sha256", help="The SHA-256 that the weights must have, in hexadecimal."),
    ] = "",
    config: Networks = None,
    json: Json = False,
) -> None:
    """Download official weights into the data folder. An interrupted download is resumed.

    A file must have the SHA-256 of the catalogue. Where none is known, the first download is
    trusted, and every later file must be the same; `--sha256` sets the sum yourself. Where
    `[models] offline` forbids downloads, put the file where the message says, and run it again.
    `mirror` names a server that has NAME/FILE, such as a copy of `models/official` of a
    data folder; only it may be in a private network. `HTTPS_PROXY`, `NO_PROXY` and
    `SSL_CERT_FILE` are respected.

    \b
    Examples:
      tagecho models pull u2netp
    """
    from bot.service.progress import downloads
    from bot.verbs.pull import pull

    with downloads() as watch:
        rows = pull(network_settings(config), name, watch, sha256=sha256)
    for row in rows:
        if row["trust"] == "first download":
            say(f"{row['file']}: no SHA-256 was known; from now on it must be {row['sha256']}")
        if not json:
            echo(row["path"])
    if json:
        print_json(rows)


@models.command("verify")
def models_verify(config: Networks = None, json: Json = False) -> None:
    """Check the weights in service. Exit code 7: a file is missing or damaged.

    \b
    Examples:
      tagecho models verify
    """
    from bot.core.errors import ModelError
    from bot.verbs.networks import verify

    rows = verify(network_settings(config))
    if json:
        print_json(rows)
    else:
        for row in rows:
            echo(f"{'FAIL' if row['problem'] else 'ok  '} {row['name']}  {row['problem']}".rstrip())
    if any(row["problem"] for row in rows):
        raise typer.Exit(ModelError.exit_code)


@models.command("evaluate")
def models_evaluate(
    masks: Annotated[
        Path | None, typer.Option(help="A folder with photos/ID.jpg and labels/ID.png.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A file with lines of id, author and hashtag; photos/ lies beside it."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use at most so many photos of each.")
    ] = None,
    selection: Annotated[
        bool, typer.Option("--selection", help="Use only the 100 masks for choosing thresholds.")
    ] = False,
    drawn: Annotated[
        bool, typer.Option("--drawn", help="Masks that people drew in the console or imported.")
    ] = False,
    config: Networks = None,
    json: Json = False,
) -> None:
    """Measure the networks in service: their masks, and how well they find wrong hashtags.

    `--masks`: `photos/ID.jpg` with `labels/ID.png`, in which nonzero is the object. `--labels`:
    lines of `id`, `author` and `hashtag`. `--drawn`: only masks of people who are held out from
    all learning, one in five. Exit code 2 names the file that cannot be used.

    \b
    Examples:
      tagecho models evaluate --masks set/
      tagecho models evaluate --drawn
    """
    from bot.verbs.evaluate import evaluate, table

    settings = network_settings(config)
    found = evaluate(settings, masks, labels, limit=limit, selection=selection, drawn=drawn)
    if json:
        print_json(found.as_dict())
    else:
        echo("\n".join(table(found)))


models.command("promote")(learning.promote)
models.command("rollback")(learning.rollback)
