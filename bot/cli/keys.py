"""`tagecho keys`: keys of the search API."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, prepare
from bot.cli.output import echo, print_json, print_rows, say
from bot.cli.verb import Verbs

app = Verbs(no_args_is_help=True, help="Keys of the search API: create, list, revoke.")
Name = Annotated[str, typer.Argument(help="Whose key it is, or what for.")]


@app.command("create")
def keys_create(
    name: Name,
    per_day: Annotated[
        int | None,
        typer.Option(min=0, help="Free queries per day, UTC; else [console] queries_per_day."),
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Create a key and print it, once: only its hash is kept.

    \b
    Examples:
      tagecho keys create museum
      tagecho keys create partner --per-day 5000
    """
    from bot.verbs.keys import create

    key = create(prepare(config), name, per_day)
    if json:
        print_json({"name": name, "key": key})
        return
    echo(key)
    say("keep it now: it is shown only once")


@app.command("list")
def keys_list(config: Config = CONFIG, json: Json = False, csv: Csv = False) -> None:
    """List the keys and the queries of today.

    \b
    Examples:
      tagecho keys list
    """
    from bot.verbs.keys import listing

    rows = listing(prepare(config))
    if print_rows(rows, json=json, csv=csv):
        return
    for row in rows:
        state = f"revoked {row['revoked']:%Y-%m-%d}" if row["revoked"] else "valid"
        echo(f"{row['name']:<24} {row['used_today']:>6} of {row['per_day']} today  {state}")
    if not rows:
        say("no keys: tagecho keys create NAME")


@app.command("revoke")
def keys_revoke(name: Name, config: Config = CONFIG) -> None:
    """Refuse a key from now on.

    \b
    Examples:
      tagecho keys revoke museum
    """
    from bot.verbs.keys import revoke

    revoke(prepare(config), name)
    say(f"revoked: {name}")
